"""The inputs that the cells of ``modelcells/`` work on, by name."""

# ruff: noqa: E501 - texts as they are
from __future__ import annotations

from typing import Any

TICKETS = "\n".join(
    f"[{i:03}] {'refund' if i % 3 == 0 else 'delivery'} request from customer {i % 7}" for i in range(30)
)
SALES = "date,city,price,units\n" + "".join(
    f"2024-0{m}-1{d},{c},{m * 1.5},{d}\n" for m in (1, 2) for d, c in ((1, "Rome"), (2, "Oslo"))
)
LOG = "\n".join(
    f"2024-05-0{1 + i // 12} {8 + i % 12:02}:{i * 7 % 60:02}:{i * 11 % 60:02} {level} [{service}] {message}"
    for i in range(24)
    for level, service, message in [
        ("ERROR", "billing", f"timeout after {i} s") if i % 5 == 0
        else ("WARN", "search", "slow query") if i % 7 == 3
        else ("INFO", ("web", "mail")[i % 2], f"request {i} served")
    ]
)  # fmt: skip
MEETING = """Ann: Good morning. Let us begin with the budget. We spent more than planned
in March, and I want to know why before we go on.

Bob: The new servers came early. I will send the invoices by Friday.

Ann: Thanks. And the hiring plan?

Cara: We have two candidates for the data team. I will arrange interviews next
week. The third post stays open until the summer.

Bob: Can we afford the third post at all?

Ann: Not before July. We will decide in the next meeting. Cara will prepare
the figures.

Dan: The release is late by a week because of the search problem. I will write
to the customers today.

Ann: Then we are done. The next meeting is on the 12th at ten.
"""
CONTRACT = """This agreement is made between Northwind Ltd and Blue Yard GmbH.

# Definitions
"Goods" means the items listed in annex A. "Supplier" means Northwind Ltd; "Buyer" means Blue Yard GmbH.

# Delivery
The Supplier shall deliver the Goods within 30 days. For each week of delay the Supplier pays EUR 1,500.00 to the Buyer.

# Price and payment
The Buyer shall pay EUR 48,250.50 within 14 days of delivery. Late payments bear interest of 5 percent.

# Term and termination
Either party may terminate this agreement with 60 days' notice. The Buyer may terminate at once if the Goods are late by
more than USD 10,000 worth of penalties.

# Law
The law of Sweden applies. The courts of Malmö decide.
"""
DOCS = [
    "Tin: 12 shipments left Cornwall in May, most of them for Bilbao.",
    "Wool prices rose by 4 per cent; 3 mills closed.",
    "The harbour was closed for 9 days because of ice.",
    "WOOL prices rose by 4 per cent, 3 mills closed!",
    "Nothing is known about salt.",
]
ORDERS: dict[str, Any] = {
    "shop": "Blue Yard",
    "currency": "EUR",
    "orders": [
        {
            "id": f"A{i:03}",
            "customer": {"name": ("Ann Lee", "Bo Berg", "Cy Carr")[i % 3]},
            "status": "cancelled" if i == 4 else "paid",
            "items": [{"sku": f"S{i % 4}", "qty": i % 3 + 1, "price": 9.5 + i}, {"sku": "S9", "qty": i % 2, "price": 3.0}],
            **({"discount": 0.1 * (i % 2)} if i != 2 else {}),
        }
        for i in range(7)
    ],
}  # fmt: skip
FILES = {
    "src/shop/cart.py": (
        "from shop.price import total\nimport json\n\n\ndef add(cart, item):\n    cart.append(item)\n\n\n"
        "def pay(cart, *, tax=0.2):\n    return total(cart) * (1 + tax)\n"
    ),
    "src/shop/price.py": (
        "import math\n\n\ndef total(cart):\n    return math.fsum(i.price for i in cart)\n\n\ndef _round(x):\n    return x\n"
    ),
    "tests/test_cart.py": "from shop.cart import add, pay\n\n\ndef test_add():\n    add([], 1)\n",
    "tests/broken.py": "def oops(:\n    pass\n",
    "README.md": "# Shop\n",
    "LICENSE": "MIT\n",
}
EMAILS = "\n\n---\n\n".join(
    f"From: {sender}\nTo: {to}\nDate: 2024-{month:02}-0{day}\nSubject: {subject}\n\n{body}"
    for sender, to, month, day, subject, body in [
        ("ann@north.example", "bob@blue.example", 1, 3, "Offer for tin", "Our offer stands until March 4."),
        ("bob@blue.example", "ann@north.example", 1, 5, "Re: Offer for tin", "We accept. Delivery by 15/02/2024?"),
        ("cara@blue.example", "ann@north.example", 3, 1, "Late delivery", "Nothing came on February 15."),
        ("ann@north.example", "cara@blue.example", 3, 2, "Re: Late delivery", "The harbour is closed; 9/3/2024."),
        ("dan@ice.example", "bob@blue.example", 4, 8, "Storage", "There is room from May 1 on."),
    ]
)
REVIEWS = [
    {"user": f"user{i:02}", "product": ("lamp", "chair", "desk")[i % 3], "stars": (5, 1, 3, 4, 2)[i % 5], "text": text}
    for i, text in enumerate(
        [
            "Great lamp, I love it.", "Came late and broken.", "It is fine.", "Good value for the money.",
            "Poor finish, bad smell.", "Excellent!", "Broken leg, but good service.", "OK for the price.",
            "Love the colour.", "The chair is late again.", "Does what it says.",
        ]
    )
]  # fmt: skip
HAYSTACK = (
    "\n".join(f"Line {i}: nothing of interest here, only {i * 37 % 91} grains of sand." for i in range(120))
    + '\nLine 120: note {"kind": "hint", "line": 7}\nLine 121: the magic number is 48213.\nLine 122: {not json}\n'
    + "\n".join(f"Line {i}: sand." for i in range(123, 200))
)
READINGS = "day;value\n" + "\n".join(
    f"2024-06-{day:02};{value}"
    for day, value in enumerate(["3,5", "4,0", "n/a", "4,2", "9,9", "4,1", "", "4,4", "4,6", "5,0"], 1)
)
WIKI = """# Ports

Data from [the almanac](https://almanac.example/ports?year=2024&page=3) and [the survey](https://survey.example/a/b).

| port | people | country |
|------|-------:|---------|
| Bilbao | 345,821 | Spain |
| Malmö | 325,069 | Sweden |
| Bergen | 285,911 | Norway |

See also [ice](https://almanac.example/ice).
"""
VERSIONS = {
    "old": "The price is 10.\nDelivery takes 30 days.\nThe law of Sweden applies.\n",
    "new": "The price is 12.\nDelivery takes 30 days.\nThe law of Norway applies.\nBoth parties agree.\n",
}
QUOTED = 'name,note\n"Lee, Ann","said ""yes""\nand left"\nBo,\n"Carr","a, b and c"\n'
