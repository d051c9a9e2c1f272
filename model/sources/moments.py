"""What of one moment comes before what: the same for an import and for webhooks.

No source tells the order of two things of one moment, and the order of rows or deliveries is not
theirs. So none is taken for it: of one moment, whatever it was told by, an opening comes first,
then a reopening, then all else, a loss and at last a win. Of several values of one field the one
comes last that does in the order of ids.
"""

from __future__ import annotations

from typing import Final

RANKS: Final = {"deal_opened": 0, "deal_reopened": 1, "deal_lost": 3, "deal_won": 4}
OTHERS_RANK: Final = 2
