"""The Croissant 1.1 description of a data set with the RAI 1.0 vocabulary: its files with hashes, its records, and who each label column is from."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from jobs.papers.attribution import agent_of, agents
from jobs.papers.facts import Facts
from jobs.papers.rai import rai_fields
from jobs.papers.words import data_licence, marking, origin
from manifests.records import CLASS_NAMES, LABEL_SCHEMA, LIST_LENGTHS

Node = dict[str, Any]

# The context of the Croissant 1.1 specification, with PROV beside it.
CONTEXT: Node = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "prov": "http://www.w3.org/ns/prov#",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
RELEASED = "2026-11-21"  # of this version of facemint; stands for the date of publication until the data set's owner gives one
FORMATS = {"jpg": "image/jpeg", "png": "image/png"}


def croissant(facts: Facts) -> Node:
    """JSON-LD; equal runs give equal descriptions."""
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": "synthetic-faces-by-facemint",
        "description": f"{facts.counts['accepted']:,} synthetic faces with labels. {origin(facts)} {marking(facts)} "
        + ("" if facts.release.published else f"No date of publication was given; {RELEASED} is that of the facemint version."),
        "license": data_licence(facts),
        "version": "1.0.0",
        "datePublished": facts.release.published or RELEASED,
        "citeAs": f"Synthetic faces made by facemint {facts.record.versions['facemint']}, configuration {facts.record.config_hash[:16]}",
        "creator": {"@type": "sc:Organization", "name": "facemint"},
        "keywords": ["synthetic", "faces", "facial expression", "face recognition"],
        "distribution": _distribution(facts),
        "recordSet": [*(_enumeration(name) for name in CLASS_NAMES), _labels(), _samples(facts), _label_maps()],
        "prov:wasGeneratedBy": {"@type": "prov:Activity", "prov:wasAssociatedWith": agents(facts)},
        **rai_fields(facts),
    }


def _distribution(facts: Facts) -> list[Node]:
    files = {name: promise for name, promise in facts.files.items() if name.startswith("data/")}
    objects: list[Node] = [
        {
            "@type": "cr:FileObject",
            "@id": name,
            "name": name,
            "contentUrl": name,
            "contentSize": f"{promise['bytes']} B",
            "encodingFormat": "application/x-tar" if name.endswith(".tar") else "application/x-parquet",
            "sha256": promise["sha256"],
        }
        for name, promise in files.items()
    ]
    tars = [{"@id": name} for name in files if name.endswith(".tar")]
    picture = "?" * 12 + "." + facts.extension  # label maps end in .seg.png
    return [
        *objects,
        _file_set("label-tables", "data/*.parquet", "application/x-parquet", []),
        _file_set("picture-files", picture, FORMATS[facts.extension], tars),
        _file_set("label-map-files", "*.seg.png", "image/png", tars),
    ]


def _file_set(name: str, includes: str, encoding: str, contained_in: list[Node]) -> Node:
    node: Node = {"@type": "cr:FileSet", "@id": name, "name": name, "includes": includes, "encodingFormat": encoding}
    return {**node, "containedIn": contained_in} if contained_in else node


def _enumeration(column: str) -> Node:
    """The classes of a label column, which holds their numbers."""
    name = f"classes-of-{column}"
    values = [{f"{name}/number": number, f"{name}/name": text} for number, text in enumerate(CLASS_NAMES[column])]
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "dataType": "sc:Enumeration",
        "key": {"@id": f"{name}/number"},
        "field": [
            {"@type": "cr:Field", "@id": f"{name}/number", "name": f"{name}/number", "dataType": "sc:Integer"},
            {"@type": "cr:Field", "@id": f"{name}/name", "name": f"{name}/name", "dataType": "sc:Text"},
        ],
        "data": values,
    }


def _labels() -> Node:
    return {
        "@type": "cr:RecordSet",
        "@id": "labels",
        "name": "labels",
        "description": "A row for each accepted picture, without pixels. Missing values: not asked, or not measured.",
        "key": {"@id": "labels/sample_id"},
        "field": [_label_field(field) for field in LABEL_SCHEMA],
    }


def _label_field(field: pa.Field) -> Node:
    listed = pa.types.is_list(field.type)
    node: Node = {
        "@type": "cr:Field",
        "@id": f"labels/{field.name}",
        "name": f"labels/{field.name}",
        "dataType": _data_type(field.type.value_type if listed else field.type),
        "source": {"fileSet": {"@id": "label-tables"}, "extract": {"column": field.name}},
        "prov:wasAttributedTo": {"@id": agent_of(field.name)},
    }
    if listed:
        node |= {"isArray": True, "arrayShape": str(LIST_LENGTHS.get(field.name, -1))}
    if field.name in CLASS_NAMES:
        node["description"] = f"Number of a class: classes-of-{field.name}."
        node["references"] = {"field": {"@id": f"classes-of-{field.name}/number"}}
    return node


def _data_type(kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    if pa.types.is_integer(kind):
        return "sc:Integer"
    return "sc:Float" if pa.types.is_floating(kind) else "sc:Text"


def _samples(facts: Facts) -> Node:
    return _pictures("samples", "picture-files", "The accepted pictures, by the key that labels/sample_id names.", facts.extension, ["sc:ImageObject"])


def _label_maps() -> Node:
    description = "Class of each pixel as a grey value."
    return _pictures("label-maps", "label-map-files", description, "seg.png", ["sc:ImageObject", "cr:SegmentationMask"])


def _pictures(name: str, files: str, description: str, extension: str, data_types: list[str]) -> Node:
    key = {
        "@type": "cr:Field",
        "@id": f"{name}/sample_id",
        "name": f"{name}/sample_id",
        "dataType": "sc:Text",
        "source": {
            "fileSet": {"@id": files},
            "extract": {"fileProperty": "filename"},
            "transform": {"regex": "^(\\d{12})\\." + extension.replace(".", "\\.") + "$"},
        },
    }
    image = {
        "@type": "cr:Field",
        "@id": f"{name}/image",
        "name": f"{name}/image",
        "dataType": data_types,
        "source": {"fileSet": {"@id": files}, "extract": {"fileProperty": "content"}},
        "prov:wasAttributedTo": {"@id": "agent-parser" if extension == "seg.png" else "agent-core"},
    }
    return {"@type": "cr:RecordSet", "@id": name, "name": name, "description": description, "key": {"@id": f"{name}/sample_id"}, "field": [key, image]}
