"""The committed contract is the one that the code makes (R-API-1)."""

import json
import subprocess
import sys
from pathlib import Path

CONTRACT = Path(__file__).parents[2] / "contracts" / "openapi.json"


def test_the_committed_contract_is_what_the_code_makes(tmp_path: Path) -> None:
    """R-API-1: drift fails; `make contract` writes it anew."""
    made = tmp_path / "openapi.json"
    subprocess.run([sys.executable, "-m", "simorgh_api.contract", str(made)], check=True)
    assert json.loads(made.read_text("utf-8")) == json.loads(CONTRACT.read_text("utf-8")), "run `make contract`"


def test_operation_ids_are_there_and_unique() -> None:
    """R-API-1: clients generate names from them."""
    document = json.loads(CONTRACT.read_text("utf-8"))
    assert document["openapi"].startswith("3.1")
    ids = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(ids) == len(set(ids))
    assert {"train_start", "list_jobs", "upload_dataset", "create_chat_completion"} <= set(ids)
