"""One question a file: what recurrent networks remember, why they forget, and what helps."""

from .ablate import Ablate
from .adding import Adding
from .anbn import Anbn
from .chaos import Chaos
from .cliff import Cliff
from .conduct import conduct, read, save
from .copy import Copy
from .elman_xor import ElmanXor
from .exposure import Exposure
from .forget_bias import ForgetBias
from .gap import Gap
from .gates import Gates
from .history import History
from .memorise import Memorise
from .neurons import Neurons
from .order import Order
from .orthogonal import Orthogonal
from .plots import Chart, Grid, Line
from .rtrl import Rtrl
from .study import Findings, Record, Row, Study
from .tbptt import Tbptt
from .text import Text
from .vanish import Vanish

STUDIES: dict[str, type[Study]] = {
    study.name: study
    for study in (
        History,
        Order,
        ElmanXor,
        Vanish,
        Orthogonal,
        Rtrl,
        Chaos,
        Tbptt,
        Cliff,
        Adding,
        ForgetBias,
        Gates,
        Ablate,
        Gap,
        Copy,
        Anbn,
        Exposure,
        Neurons,
        Memorise,
        Text,
    )
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
