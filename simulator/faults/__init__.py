"""One class for each misbehaviour. A fault wraps a correct replica and changes what goes in or
comes out, so that everything it does not touch is the production code's behaviour."""

from simulator.faults.base import Fault
from simulator.faults.bias import Bias
from simulator.faults.censor import Censor
from simulator.faults.collude import Collude
from simulator.faults.contradict import Contradict
from simulator.faults.copy import Copy
from simulator.faults.crash import Crash
from simulator.faults.dribble import Dribble
from simulator.faults.equivocate import Equivocate
from simulator.faults.fabricate import Fabricate
from simulator.faults.flood import Flood
from simulator.faults.forge import Forge
from simulator.faults.frame import Frame
from simulator.faults.future_seal import FutureSeal
from simulator.faults.hidden_batch import HiddenBatch
from simulator.faults.items import BadItem
from simulator.faults.lie import Lie
from simulator.faults.matrix import Matrix
from simulator.faults.missend import Missend
from simulator.faults.mutate import Mutate
from simulator.faults.mute import Mute
from simulator.faults.propose import (
    FalsePrimary,
    HideProposals,
    SplitProposals,
    WrongDigest,
    WrongNumber,
)
from simulator.faults.replay import Replay
from simulator.faults.selective import Selective
from simulator.faults.slow import Slow
from simulator.faults.stall import Stall
from simulator.faults.tweak import Tweak
from simulator.faults.two_faced import TwoFaced
from simulator.faults.two_seals import TwoSeals
from simulator.faults.views import BadPlan, BadViewChange, Restless, Usurp
from simulator.faults.votes import DoubleVote, Misvote, Recast, Revote
from simulator.faults.withhold import Withhold

BEHAVIOURS: dict[str, type[Fault]] = {
    "bad_item": BadItem,
    "bad_plan": BadPlan,
    "bad_view_change": BadViewChange,
    "bias": Bias,
    "censor": Censor,
    "collude": Collude,
    "contradict": Contradict,
    "copy": Copy,
    "double_vote": DoubleVote,
    "dribble": Dribble,
    "equivocate": Equivocate,
    "fabricate": Fabricate,
    "false_primary": FalsePrimary,
    "flood": Flood,
    "forge": Forge,
    "frame": Frame,
    "future_seal": FutureSeal,
    "hidden_batch": HiddenBatch,
    "hide_proposals": HideProposals,
    "lie": Lie,
    "matrix": Matrix,
    "missend": Missend,
    "misvote": Misvote,
    "mutate": Mutate,
    "mute": Mute,
    "recast": Recast,
    "replay": Replay,
    "restless": Restless,
    "revote": Revote,
    "selective": Selective,
    "slow": Slow,
    "split_proposals": SplitProposals,
    "stall": Stall,
    "tweak": Tweak,
    "two_faced": TwoFaced,
    "two_seals": TwoSeals,
    "usurp": Usurp,
    "withhold": Withhold,
    "wrong_digest": WrongDigest,
    "wrong_number": WrongNumber,
}
"""What a node may do in a simulation."""

FAULTS: dict[str, type[Fault]] = {**BEHAVIOURS, "crash": Crash}
"""What a real daemon may do: in a simulation a crash needs no class."""

__all__ = ["BEHAVIOURS", "FAULTS", "Crash", "Equivocate", "Fault", "Lie", "Slow"]
