"""Where a report was filed, and by whom, before its first word."""

from __future__ import annotations

import re

# "PARIS (AP) — ", "(CNN) " and "BOGOTA, Colombia — ".
_AGENCY = "AP|AFP|ANI|ANSA|BBC|Bloomberg|CNN(?: Business)?|DPA|dpa|EFE|IANS|Kyodo|PTI|Reuters|TASS|UPI|Xinhua"
DATELINE = re.compile(
    rf"(?:(?:[A-Z][\w.,’'/ -]{{1,40}} )?\((?:{_AGENCY})\) ?(?:[-–—]+ ?)?|"
    r"[A-Z][A-Z.’'/ -]+[A-Z](?:, [A-Z][\w. ]{1,20}?)? [-–—]+ )(?=[A-Z“\"‘])"
)
