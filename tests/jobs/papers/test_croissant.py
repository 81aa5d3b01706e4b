from __future__ import annotations

import json
import logging
import shutil

import pytest

from jobs.papers.attribution import AGENTS, agent_of
from manifests.records import LABEL_SCHEMA
from manifests.vocabulary import AFFECTNET8

mlcroissant = pytest.importorskip("mlcroissant")
epath = pytest.importorskip("etils.epath")

pytestmark = [  # of what mlcroissant 1.1 calls in newer versions of its packages
    pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"),  # it leaves files to the collector
    pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame:DeprecationWarning"),
]

# Of the RAI 1.0 specification, without dataCollectionTimeframe: a run keeps no dates.
RAI = (
    *("dataCollection", "dataCollectionType", "dataCollectionRawData", "dataCollectionMissingData", "dataImputationProtocol", "dataManipulationProtocol"),
    *("dataPreprocessingProtocol", "dataAnnotationProtocol", "dataAnnotationPlatform", "dataAnnotationAnalysis", "annotationsPerItem", "annotatorDemographics"),
    *("machineAnnotationTools", "dataBiases", "dataLimitations", "dataSocialImpact", "dataUseCases", "personalSensitiveInformation"),
    "dataReleaseMaintenancePlan",
)


@pytest.fixture(autouse=True)
def own_folder_of_unpacked_files(monkeypatch, tmp_path):
    """subtle: mlcroissant names what it unpacks after the file's name alone, so data sets would be mixed up in its common folder."""
    monkeypatch.setattr("mlcroissant._src.operation_graph.operations.extract.EXTRACT_PATH", epath.Path(tmp_path / "unpacked"))


@pytest.fixture(scope="module")
def described(run):
    return json.loads((run / "croissant.json").read_text(encoding="utf-8"))


def test_it_validates_without_an_issue(run, caplog):
    with caplog.at_level(logging.WARNING):
        issues = mlcroissant.Dataset(str(run / "croissant.json")).metadata.ctx.issues
    assert not issues.errors and not issues.warnings and not caplog.records


def test_labels_stream_with_their_types(run):
    records = list(mlcroissant.Dataset(str(run / "croissant.json")).records("labels"))
    assert len(records) == 24 and set(records[0]) == {f"labels/{name}" for name in LABEL_SCHEMA.names}
    first = records[0]
    assert first["labels/sample_id"] == b"000000000000" and first["labels/qc_accepted"] is True and first["labels/obs_yaw"] is None
    assert first["labels/bbox"] == [1.0, 2.0, 3.0, 4.0] and isinstance(first["labels/seed"], int)


def test_pictures_and_label_maps_stream_by_key(run):
    dataset = mlcroissant.Dataset(str(run / "croissant.json"))
    pictures, maps = list(dataset.records("samples")), list(dataset.records("label-maps"))
    assert len(pictures) == len(maps) == 24
    assert pictures[0]["samples/sample_id"] == b"000000000000" and pictures[0]["samples/image"].size == (16, 16)


def test_expressions_are_an_enumeration(run):
    records = list(mlcroissant.Dataset(str(run / "croissant.json")).records("classes-of-expression_affectnet8"))
    assert [record["classes-of-expression_affectnet8/name"] for record in records] == list(AFFECTNET8)


def test_a_tampered_shard_is_refused(run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    shard = next((folder / "data").glob("train-*.tar"))
    content = bytearray(shard.read_bytes())
    content[600] ^= 1
    shard.write_bytes(content)
    with pytest.raises(mlcroissant.GenerationError) as caught:
        list(mlcroissant.Dataset(str(folder / "croissant.json")).records("samples"))
    assert "Hash of downloaded file" in str(caught.value.__cause__)


def test_every_file_of_data_is_listed_with_its_hash(run, described):
    listed = {node["contentUrl"]: node["sha256"] for node in described["distribution"] if node["@type"] == "cr:FileObject"}
    promised = {}
    for marker in (run / "data").glob("*.json"):
        files = json.loads(marker.read_text())["files"]
        promised |= {name: promise["sha256"] for name, promise in files.items() if name.startswith("data/")}
    assert listed == promised


def test_every_field_of_the_rai_vocabulary_says_something(described):
    assert all(described[f"rai:{name}"] for name in RAI)


def test_every_column_is_attributed_to_an_agent_that_is_described(described):
    known = {agent["@id"] for agent in described["prov:wasGeneratedBy"]["prov:wasAssociatedWith"]}
    labels = next(node for node in described["recordSet"] if node["@id"] == "labels")
    assert {field["prov:wasAttributedTo"]["@id"] for field in labels["field"]} <= known == set(AGENTS)


@pytest.mark.parametrize(
    ("column", "agent"),
    [
        ("req_valence", "agent-recipe"),
        ("expression_affectnet8", "agent-recipe"),
        ("expression_error", "agent-estimator"),
        ("obs_yaw", "agent-estimator"),
        ("sim_gate_ref", "agent-gate"),
        ("sim_audit_ref", "agent-auditor"),
        ("q_sharpness", "agent-checks"),
        ("qc_accepted", "agent-judge"),
        ("seed", "agent-facemint"),
    ],
)
def test_a_column_is_from_the_agent_that_made_it(column, agent):
    assert agent_of(column) == agent
