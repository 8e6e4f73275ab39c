"""Most generated chat requests ask for a model that is there, else they would all end at that."""

import schemathesis


@schemathesis.hook
def map_body(context, body):
    if isinstance(body, dict) and isinstance(body.get("model"), str) and len(body["model"]) % 4:
        body["model"] = "simulated"
    return body
