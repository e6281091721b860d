#!/usr/bin/env python3
"""Writes tests/golden/text.json: TF-IDF weights by scikit-learn, which agents/src/data/text.rs must find too.

    pip install scikit-learn; python3 tests/golden/text.py
"""

import json
from pathlib import Path

from sklearn.feature_extraction.text import TfidfVectorizer

TRAIN = [
    "Buy cheap watches now! Buy now, pay later.",
    "Are we still on for lunch at 12?",
    "Cheap watches: buy 2, pay for 1. NOW!!!",
    "The meeting is at 12, the lunch is at 13.",
    "Größe und Café: we pay for lunch",
    "",
    "re: re: the watches are cheap, the_lunch is not",
]
NEW = ["we buy the lunch now now now", "CAFÉ at 12 is cheap", "nothing known"]

vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
vectorizer.fit(TRAIN)
golden = {
    "train": TRAIN,
    "new": NEW,
    "terms": vectorizer.get_feature_names_out().tolist(),
    "weights": vectorizer.transform(TRAIN + NEW).toarray().tolist(),
}
path = Path(__file__).resolve().parent / "text.json"
path.write_text(json.dumps(golden, ensure_ascii=False) + "\n")
