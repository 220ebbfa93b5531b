"""What the company's services hold, read: Slack, Gong, HubSpot, Salesforce, Notion and Asana. Never written to."""

from __future__ import annotations
