"""The prober: looks at a branded domain from outside, and judges nothing.

:func:`probe` fills an :class:`~linkseal.domains.observation.Observation`; the checks judge it.
"""

from __future__ import annotations

from linkseal.prober.canary import ask_after_canary, ask_canary
from linkseal.prober.request import EVERYTHING, KeySigner, Part, ProbeRequest, Progress, Signer
from linkseal.prober.roots import trusted_roots
from linkseal.prober.run import probe

__all__ = [
    "EVERYTHING",
    "KeySigner",
    "Part",
    "ProbeRequest",
    "Progress",
    "Signer",
    "ask_after_canary",
    "ask_canary",
    "probe",
    "trusted_roots",
]
