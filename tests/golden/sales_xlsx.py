"""Writes tests/golden/sales.xlsx: a small workbook of weekly sales, in the long form, with a title, dates, and a row of
totals. Python's own library alone.

    python3 tests/golden/sales_xlsx.py
"""
import math
import zipfile
from pathlib import Path

NS = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"


def cell(column: int, row: int, value, style: str = "") -> str:
    at = f'{"ABCDEFGH"[column]}{row}'
    if isinstance(value, str):
        return f'<c r="{at}" t="inlineStr"><is><t>{value}</t></is></c>'
    return f'<c r="{at}"{style}><v>{value!r}</v></c>'


def sheet() -> str:
    rows = [["Sales of our shop"], ["Date", "Product", "Units", "Price", "Cost", "Customers"]]
    for week in range(40):
        prices = {"Cola": [2.0, 2.4, 2.2, 2.6, 2.1][week % 5], "Water": [3.0, 3.3, 3.1][week % 3]}
        for product, price in prices.items():
            units = round(400.0 / (1.0 + math.exp(price))) + week % 2
            rows.append([46083 + 7 * week, product, units, price, 1.0 if product == "Cola" else 1.5, 1000])
    rows.append(["Total", "", 1, "", "", ""])
    text = ""
    for number, row in enumerate(rows, 1):
        cells = [cell(c, number, v, ' s="1"' if c == 0 and number > 2 else "") for c, v in enumerate(row) if v != ""]
        text += f'<row r="{number}">{"".join(cells)}</row>'
    return f"<worksheet {NS}><sheetData>{text}</sheetData></worksheet>"


FILES = {
    "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="rels" '
    'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" '
    'ContentType="application/xml"/><Override PartName="/xl/workbook.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r1" '
    f'Type="{REL}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook {NS} xmlns:r="{REL}"><sheets><sheet name="Sales" sheetId="1" r:id="r1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r1" '
    f'Type="{REL}/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="r2" Type="{REL}/styles" '
    'Target="styles.xml"/></Relationships>',
    "xl/styles.xml": f'<styleSheet {NS}><cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>',
    "xl/worksheets/sheet1.xml": sheet(),
}

if __name__ == "__main__":
    with zipfile.ZipFile(Path(__file__).with_name("sales.xlsx"), "w", zipfile.ZIP_DEFLATED) as book:
        for name, text in FILES.items():
            part = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            part.compress_type = zipfile.ZIP_DEFLATED
            book.writestr(part, '<?xml version="1.0"?>' + text)
