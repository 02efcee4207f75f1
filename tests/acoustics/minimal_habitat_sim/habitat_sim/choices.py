"""What the minimal habitat-sim pretends to be."""

import json
import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Choices:
    """api: "main" or "soundspaces", the two spellings. rlr: simulate with the real library. record: a file that gets a
    JSON line for every simulation. fault: what goes wrong, where the word is looked for.
    """

    api: str = "soundspaces"
    version: str = "0.2.2"
    audio: bool = True
    rlr: bool = False
    record: str = ""
    fault: str = ""


CHOICES = Choices(**json.loads(os.environ.get("MINIMAL_HABITAT_SIM", "{}")))
