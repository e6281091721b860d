#!/usr/bin/env python3
"""Small Parquet files as pyarrow writes them, beside what their cells are as text (CSV).

    python3 -m venv v && v/bin/pip install numpy==2.4.6 pyarrow==26.0.1 && v/bin/python tests/golden/parquet.py

`receipts`: single sales with dictionary columns, moments with a time zone, decimals, nulls, returns, several row groups,
zstd, the second version of data pages. `weeks`: a row a product's week, with dates as midnights of a zone, billionths of a
second, 32-bit floats, whole numbers that became floats through nulls, text without a word about it, gzip and delta encodings.
"""
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent / "parquet"
rng = np.random.default_rng(7)


def csv(name: str, columns: dict) -> None:
    rows = zip(*columns.values())
    text = "".join(",".join("" if x is None else str(x) for x in row) + "\n" for row in rows)
    (HERE / f"{name}.csv").write_text(",".join(columns) + "\n" + text)


def receipts() -> None:
    n, start = 1500, np.datetime64("2026-01-05T06:00:00")
    at = start + np.sort(rng.integers(0, 60 * 7 * 86_400, n)).astype("timedelta64[s]")
    week = (at - start).astype("timedelta64[s]").astype(int) // (7 * 86_400)
    product = rng.integers(0, 3, n)
    price = np.array([1.99, 2.49, 3.09])[product] - 0.1 * ((week + product) % 5)
    units = rng.integers(1, 4, n)
    quantity = [None if i % 97 == 5 else 0 if i % 83 == 3 else -1 if i % 71 == 2 else int(u) for i, u in enumerate(units)]
    total = [Decimal(f"{(q or 0) * p:.2f}") for q, p in zip(quantity, price)]
    names = ["Äpfel, rot", "Brot", "Käse"]
    columns = {
        "receipt": [str(1000 + i) for i in range(n)],
        "sold_at": pa.array(at.astype("datetime64[us]"), pa.timestamp("us", "Europe/Berlin")),
        "product": pa.array([names[k] for k in product]).dictionary_encode(),
        "quantity": pa.array(quantity, pa.int64()),
        "amount": pa.array(total, pa.decimal128(9, 2)),
        "member": pa.array([bool(i % 3) for i in range(n)]),
    }
    options = {"compression": "zstd", "row_group_size": 400, "data_page_version": "2.0", "version": "2.6"}
    pq.write_table(pa.table(columns), HERE / "receipts.parquet", **options)
    shown = [str(t).replace("T", " ") for t in at]
    shown = [t.removesuffix(" 00:00:00") for t in shown]
    quoted = [f'"{names[k]}"' for k in product]
    member = [str(bool(i % 3)).lower() for i in range(n)]
    csv("receipts", {**columns, "sold_at": shown, "product": quoted, "quantity": quantity, "amount": total, "member": member})


def weeks() -> None:
    days, products = np.datetime64("2025-01-06") + 7 * np.arange(30), 2
    rows = [(d, k) for d in days for k in range(products)]
    # Midnights of Chicago, which is six hours behind, and five in summer.
    summer = lambda d: np.datetime64("2025-03-09") <= d < np.datetime64("2025-11-02")
    midnight = [d.astype("datetime64[ns]") + np.timedelta64(5 if summer(d) else 6, "h") for d, _ in rows]
    sku = [None if i == 17 else float(933_835 + k) for i, (_, k) in enumerate(rows)]
    price = [np.float32(2.0 + 0.1 * (i // 2 % (6 - k)) + k * 0.25) for i, (_, k) in enumerate(rows)]
    units = [int(400 / (1 + np.exp(p))) + i % 3 for i, p in enumerate(price)]
    columns = {
        "week": pa.array(np.array(midnight), pa.timestamp("ns", "America/Chicago")),
        "sku": pa.array(sku, pa.float64()),
        "units": pa.array(units, pa.int32()),
        "price": pa.array(price, pa.float32()),
        "note": pa.array([b"plain" if i % 2 else None for i in range(len(rows))], pa.binary()),
        "seen": pa.array(np.array([d for d, _ in rows]) + np.timedelta64(1, "D"), pa.date32()),
        "when": pa.array(np.array([d.astype("datetime64[ns]") + np.timedelta64(90, "s") for d, _ in rows])),
    }
    options = {"compression": "gzip", "use_dictionary": False, "version": "2.6"}
    encoding = {"units": "DELTA_BINARY_PACKED", "note": "DELTA_BYTE_ARRAY", "price": "BYTE_STREAM_SPLIT"}
    pq.write_table(pa.table(columns), HERE / "weeks.parquet", column_encoding=encoding, **options)
    text = {
        "week": [str(d) for d, _ in rows],
        "sku": [None if x is None else int(x) for x in sku],
        "units": units,
        "price": price,
        "note": ["plain" if i % 2 else None for i in range(len(rows))],
        "seen": [str(d + np.timedelta64(1, "D")) for d, _ in rows],
        "when": [f"{d} 00:01:30" for d, _ in rows],
    }
    csv("weeks", text)


HERE.mkdir(exist_ok=True)
receipts()
weeks()
