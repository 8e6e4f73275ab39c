"""What the clients' scripts share: where the server is, what to ask it, and how to tell what was seen."""

import json
import sys
import traceback

SERVER, MODEL, *WANTED = sys.argv[1:]
URL = f"{SERVER}/v1"
KEY = "any"
QUESTION = "What is 20 + 22?"
MESSAGES = [{"role": "user", "content": QUESTION}]
AGAIN = {"role": "user", "content": "And once more?"}
VOTE = {"reasoning_strategy": {"name": "self_consistency", "n": 4}}
FIELDS = {**VOTE, "reasoning_format": "fields"}
UNKNOWN = {"reasoning_strategy": "no_such_strategy"}


def tell(**aspects):
    """Try each aspect, or those that were named, and print what it returned or raised as one line of JSON."""
    told = {}
    for name in WANTED or aspects:
        try:
            told[name] = {"saw": aspects[name]()}
        except Exception as error:
            traceback.print_exc()
            told[name] = {
                "raised": f"{type(error).__module__.partition('.')[0]}.{type(error).__name__}",
                "says": str(error),
                "param": getattr(error, "param", None),
            }
    print(json.dumps(told), flush=True)
