"""Which model a prompt needs: pure rules, no network, no key."""
