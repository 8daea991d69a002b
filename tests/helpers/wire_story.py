"""A made agency's story as five outlets print it, and another outlet's own report on the same event."""

from __future__ import annotations

from bot.articles.article import Article, article_from_record

LEAD = "A cargo ship ran aground in the Vellmar Strait on Tuesday after its engine failed in heavy fog, port authorities said."
CREW = "All 23 members of the crew of the Ostrava Star were taken off by helicopter before midnight, and none was hurt."
OIL = "Divers found no leak in its tanks, which hold about 900 tonnes of fuel oil, harbour master Ingrid Solheim told reporters."
TUGS = "Four tugs from Karsund tried to pull the vessel free at high water on Wednesday, but a towing line parted and the attempt was given up."
TRAFFIC = "Some forty ships are waiting at both ends of the strait, through which a tenth of the region's grain is carried."
OWNER = "The owner, Baltic Meridian Lines of Riga, said that it would pay for the salvage and that an inquiry had begun."
PAST = "A similar accident closed the strait for nine days in 2011, when the tanker Aurelia struck a reef near the same lighthouse."
NEXT = "The next attempt is planned for Friday morning, when the spring tide will lift the water by another forty centimetres."
WIRE = (LEAD, CREW, OIL, TUGS, TRAFFIC, OWNER, PAST, NEXT)

LOCAL = "The school in Lower Vellmar opened its gymnasium to the stranded sailors, and the baker Jonas Prell brought them bread."
OWN = (
    "Fog brought shipping in the Vellmar Strait to a halt this week, and a stranded freighter is to blame.",
    "We watched from the pier as rescuers winched sailors off the Ostrava Star one after another.",
    "Fishermen complained that their harbour had been closed without a word of warning from the authorities.",
    "Hotels on the waterfront, meanwhile, are full of reporters and engineers for the first time since the summer.",
    "Nobody here expects the ship to be gone before the weekend, whatever the salvage company promises.",
    "Old pilots say that the lighthouse was switched off two years ago to save money, and nobody listened to them.",
)


def printed(
    outlet: str, text: str, *, day: str = "2024-05-15", title: str = "Ship aground in Vellmar Strait"
) -> Article:
    record = {
        "id": outlet.lower(),
        "url": f"https://{outlet.lower()}.example/ship",
        "title": title,
        "published": day,
        "source": outlet,
        "text": text,
    }
    return article_from_record(record, origin=f"{outlet}.html")


AGENCY = printed("Agency", " ".join(WIRE), day="2024-05-14")
HERALD = printed(
    "Herald",
    f"KARSUND, May 15 (AP) — {' '.join(WIRE[:5])}\n\n{' '.join(WIRE[5:])}\n\n(Reporting by A. Writer)",
    title="Fog strands freighter",
)
COURIER = printed("Courier", " ".join(WIRE[:4]), day="2024-05-16", title="Freighter stuck")
MORNING = printed(
    "Morning",
    " ".join(WIRE)
    .replace("ran aground", "grounded")
    .replace("On Friday morning", "On Friday")
    .replace("told reporters", "told journalists"),
)
LOCALS = printed(
    "Vellmarer", f"{LEAD} {CREW}\n\n{LOCAL}\n\n{' '.join(WIRE[2:])}", title="Our school takes sailors in"
)
OUTLETS = (AGENCY, HERALD, COURIER, MORNING, LOCALS)
WITNESS = printed("Witness", " ".join(OWN), title="A ship in the fog")
