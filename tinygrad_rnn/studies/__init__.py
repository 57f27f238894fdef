"""One question a file: what recurrent networks remember, why they forget, and what helps."""

from .adding import Adding
from .cliff import Cliff
from .conduct import conduct, read, save
from .forget_bias import ForgetBias
from .gap import Gap
from .history import History
from .rtrl import Rtrl
from .study import Chart, Findings, Grid, Line, Record, Row, Study
from .tbptt import Tbptt
from .text import Text
from .vanish import Vanish

STUDIES: dict[str, type[Study]] = {
    study.name: study
    for study in (History, Vanish, Rtrl, Tbptt, Cliff, Adding, ForgetBias, Gap, Text)
}

__all__ = [
    "STUDIES",
    "Chart",
    "Findings",
    "Grid",
    "Line",
    "Record",
    "Row",
    "Study",
    "conduct",
    "read",
    "save",
]
