"""The stories of the demo and the tests: loads by their customers' numbers, a breakdown on I-80,
dispatch groups with their tasks. Ids are uuids and the same in every run; the short ids that
people mention (`ord_12345`, `usr_102`) are external ids, as they are in a real organisation.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from crossdock_roserocket.sandbox.organisation import Organisation
from crossdock_roserocket.sandbox.records import Record, known_id
from crossdock_roserocket.sandbox.switches import Switches

GROUP_FIELD = "userGroup__c"
ETA_FIELD = "estimatedDelivery__c"
_PLAIN = Switches(search_lag=0, event_lag=0)  # all of this happened long enough ago
_GROUPS = {
    "Day Shift Ops": ["usr_102", "usr_105", "usr_sjenkins"],
    "Night Shift Ops": ["usr_110"],
    "Night Shift Dispatchers": ["usr_77889", "usr_110"],
    "Weekend Operations": [],
    "LTL Dispatchers": ["usr_sjenkins"],
    "West Coast Fleet Operations": ["usr_105"],
}
_USERS = {
    "usr_sjenkins": ("Sarah", "Jenkins"),
    "usr_102": ("Amir", "Haddad"),
    "usr_105": ("Joanna", "Kowalczyk"),
    "usr_110": ("Luis", "Ortega"),
    "usr_77889": ("Priya", "Raman"),
    "usr_driver": ("Dale", "Whitcomb"),
}
_BOARDS = (
    ("Customer Portal", "order", True),
    ("Active Dispatch", "order", False),
    ("Billing Review", "order", False),
    ("Task Queue", "task", False),
    ("Customers", "customer", False),
    ("Invoices", "invoice", False),
    ("Bills", "bill", False),
    ("Trips", "manifest", False),
    ("Quotes", "quote", False),
)


class _Story:
    def __init__(self, organisation: Organisation) -> None:
        self.org = organisation
        self.now = organisation.now()
        self.midnight = self.now.replace(hour=0, minute=0, second=0, microsecond=0)
        self.opened = self.midnight - timedelta(days=300)
        self.users: dict[str, dict[str, Any]] = {}

    def yesterday(self, hour: int, minute: int = 0) -> datetime:
        return self.midnight + timedelta(days=-1, hours=hour, minutes=minute)

    def today(self, share: float) -> datetime:
        """A moment between midnight and now."""
        return self.midnight + (self.now - self.midnight) * share

    def user(self, key: str) -> dict[str, Any]:
        return self.users[key]

    def order(self, external: str, at: datetime, by: str, **json: Any) -> Record:
        row, _ = self.org.create(
            "order",
            {"externalId": external, **json},
            _PLAIN,
            user=self.user(by),
            record_id=known_id(f"order:{external}"),
            at=at,
        )
        return row

    def change(self, row: Record, json: dict[str, Any], by: str, at: datetime) -> None:
        self.org.update(row, json, _PLAIN, user=self.user(by), at=at)

    def status(self, row: Record, status: str, by: str, at: datetime) -> None:
        self.change(row, {"status": status}, by, at)

    def note(self, row: Record, text: str, by: str, at: datetime, **json: Any) -> None:
        self.org.events.add(row, "internal", self.user(by), {"logMessage": text, **json}, at=at)


def seed(organisation: Organisation) -> None:
    """Fill an empty organisation."""
    story = _Story(organisation)
    for name, key, external in _BOARDS:
        organisation.add_board(name, key, story.opened, external=external)
    organisation.add_board("Yard Archive", "task", story.opened, listed=False)
    _people(story)
    customers = _customers(story)
    _loads(story, customers)
    _tasks(story)
    _rest(story, customers)


def _people(story: _Story) -> None:
    for external, (first, last) in _USERS.items():
        email = f"{first}.{last}@lakeshore.example".lower()
        user = {"id": known_id(f"user:{external}"), "email": email, "firstName": first}
        story.users[external] = user
        story.org.create(
            "user",
            {"externalId": external, "firstName": first, "lastName": last, "email": email},
            _PLAIN,
            user=user,
            record_id=user["id"],
            at=story.yesterday(0) - timedelta(days=200),
        )
    known = {user["id"] for user in story.users.values()}
    for name, members in _GROUPS.items():
        group = story.org.groups.create(
            {"name": name, "description": f"{name} at Lakeshore Freight"}, known_id(f"group:{name}")
        )
        ids = [story.user(member)["id"] for member in members]
        story.org.groups.change(group["id"], {"add": ids}, "Sarah", known.__contains__, _PLAIN)


def _customers(story: _Story) -> list[str]:
    ids = []
    for number, name in enumerate(("Harbor Foods", "Pine Ridge Supply", "Atlas Ceramics"), 1):
        row, _ = story.org.create(
            "customer",
            {
                "externalId": f"NS-{number:03}",
                "name": name,
                "companyEmail": f"freight@{name.split()[0].lower()}.example",
                "defaultCurrency": "USD",
            },
            _PLAIN,
            user=story.user("usr_sjenkins"),
            record_id=known_id(f"customer:{name}"),
            at=story.yesterday(0) - timedelta(days=90 - number),
        )
        ids.append(row.id)
    return ids


def _loads(story: _Story, customers: list[str]) -> None:
    harbor, pine, atlas = ({"id": one} for one in customers)
    broken = story.order("ERP-9921", story.yesterday(8), "usr_102", customer=harbor, poNum="44-100")
    story.status(broken, "booked", "usr_102", story.yesterday(9))
    story.status(broken, "in transit", "usr_driver", story.today(0.2))

    due = (story.midnight + timedelta(days=number) for number in (0, 1))
    planned, moved = ({ETA_FIELD: day.date().isoformat()} for day in due)
    late = story.order(
        "PO-5561", story.yesterday(7), "usr_102", customer=pine, poNum="PO-5561", **planned
    )
    story.status(late, "booked", "usr_102", story.yesterday(7, 40))
    story.status(late, "in transit", "usr_driver", story.yesterday(10, 5))
    story.note(
        late,
        "Delayed: the carrier broke down on I-80. Delivery moves by 24 hours.",
        "usr_sjenkins",
        story.yesterday(15, 15),
        status="Delayed",
        severity="major",
    )
    # The last word in the history and on the record are one person's, at one moment.
    story.change(late, moved, "usr_sjenkins", story.yesterday(15, 15))

    story.order("PO-88912", story.yesterday(11), "usr_105", customer=atlas, refNum="SAP-88912")
    story.order("PO-9942", story.today(0.3), "usr_105", customer=harbor, poNum="PO-9942")
    arrived = story.order("5519", story.yesterday(5), "usr_102", customer=atlas)
    story.status(arrived, "in transit", "usr_driver", story.yesterday(6))
    story.note(
        arrived,
        "Driver checked in at the destination facility.",
        "usr_driver",
        story.today(0.5),
        status="Arrived",
    )
    known = story.order("ord_12345", story.yesterday(12), "usr_105", customer=pine)
    story.status(known, "in transit", "usr_driver", story.yesterday(18))
    for share in (0.6, 0.7, 0.8):
        story.order(f"WEB-{int(share * 10)}", story.today(share), "usr_105", customer=atlas)
    for number in range(1, 61):
        story.order(
            f"ARC-{number:03}",
            story.yesterday(0) - timedelta(days=number, minutes=number * 7),
            "usr_102",
            customer={"id": customers[number % 3]},
            status="delivered" if number % 4 else "archived",
            poNum=f"70-{number:03}",
        )


def _tasks(story: _Story) -> None:
    work = (
        ("LTL Dispatchers", "pickup", "assigned", "Pick up 6 skids at Harbor Foods"),
        ("LTL Dispatchers", "delivery", "inprogress", "Deliver to Pine Ridge Supply, dock 4"),
        ("LTL Dispatchers", "delivery", "complete", "Deliver to Atlas Ceramics"),
        ("LTL Dispatchers", "hookTrailer", "new", "Hook trailer 53-118"),
        ("West Coast Fleet Operations", "drive", "inprogress", "Reno to Sacramento"),
        ("Night Shift Dispatchers", "load", "new", "Load dry van at yard B"),
    )
    for number, (group, kind, status, text) in enumerate(work, 1):
        story.org.create(
            "task",
            {
                "externalId": f"TSK-{number:02}",
                "taskType": kind,
                "status": status,
                "description": text,
                GROUP_FIELD: {"id": known_id(f"group:{group}")},
            },
            _PLAIN,
            user=story.user("usr_sjenkins"),
            record_id=known_id(f"task:{number}"),
            at=story.yesterday(6, number),
        )


def _rest(story: _Story, customers: list[str]) -> None:
    made_by: dict[str, Any] = {"user": story.user("usr_105"), "at": story.yesterday(16)}
    # The same external id under two keys: they must never be mixed up.
    story.org.create(
        "invoice",
        {"externalId": "PO-5561", "customer": {"id": customers[1]}, "terms": "net30"},
        _PLAIN,
        record_id=known_id("invoice:PO-5561"),
        **made_by,
    )
    for external in ("PO 55/61", "A%2FB", "é#?", " padded ", "po-5561"):
        story.org.create(
            "order",
            {"externalId": external, "customer": {"id": customers[0]}},
            _PLAIN,
            record_id=known_id(f"order:{external}"),
            **made_by,
        )
    story.org.create(
        "manifest",
        {"externalId": "TRIP-1", "name": "Reno run", "status": "dispatched"},
        _PLAIN,
        record_id=known_id("manifest:TRIP-1"),
        **made_by,
    )
