"""Words that names are read by: capitals that name nobody, and names that mean the same."""

from __future__ import annotations

# Titles, beginnings of sentences and the calendar: whether those are missing is for others to weigh.
_NO_NAMES = """
i mr mrs ms miss dr sir dame lord lady prof professor president vice prime minister king queen prince princess
pope chancellor senator sen rep representative governor gov mayor general gen captain colonel sergeant judge
justice secretary chairman chairwoman chief director ceo coach government parliament state city county
republic university company party department ministry north south east west northern southern eastern western
the a an and of in on at for to with by from as but or nor so yet if when while after before since because
although though however additionally furthermore moreover also overall meanwhile finally therefore thus
he she it they we you his her its their our your this that these those there here what who why how where which
some many most several all both each every other another no not according despite during following
then once one two three still even just only over under about within without through throughout until upon unlike
like instead later earlier last next first yes today yesterday tomorrow now such more less among between against
almost nearly again perhaps indeed whether who whose whom which is are was were do does did has have had can will
am pm ad bc est gmt mon tue wed thu fri sat sun jan feb mar apr jun jul aug sep sept oct nov dec
monday tuesday wednesday thursday friday saturday sunday january february march april may june july august
september october november december spring summer autumn winter
"""
NO_NAMES = frozenset(_NO_NAMES.split())

# Each line or column means one thing, and so do its adjectives; a hyphen is a space.
_SAME = """
usa america american americans united-states
uk britain british britons great-britain united-kingdom
eu european-union bloc
un united-nations
uae emirates emirati united-arab-emirates
france french | spain spanish | netherlands dutch holland | wales welsh | ireland irish | england english
scotland scottish scots | greece greek greeks | germany german | denmark danish danes | sweden swedish swedes
finland finnish finns | norway norwegian | poland polish poles | turkey turkish turks turkiye
switzerland swiss | philippines filipino philippine filipinos | thailand thai | afghanistan afghan
argentina argentine argentinian | czechia czech czech-republic | belgium belgian | cyprus cypriot
iceland icelandic | portugal portuguese | peru peruvian | kazakhstan kazakh | uzbekistan uzbek
kyiv kiev | kharkiv kharkov | odesa odessa | myanmar burma burmese | ivory-coast ivorian
covid coronavirus covid-19 | gop republican republicans | dem democrat democratic democrats
facebook meta | google alphabet | fed federal-reserve | kremlin russia russian moscow
la los-angeles | nyc new-york | saudi saudi-arabia | congo drc congolese | fbi federal-bureau-of-investigation
tv television | internet web online | utd united | man manchester
"""
_GROUPS = [group.split() for line in _SAME.splitlines() for group in line.split("|")]
ALIASES = {name: tuple(other for other in group if other != name) for group in _GROUPS for name in group}
