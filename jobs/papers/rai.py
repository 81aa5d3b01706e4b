"""The fields of the Croissant RAI 1.0 vocabulary for a run."""

from __future__ import annotations

from typing import Any

from jobs.papers.facts import Facts
from jobs.papers.words import BIASES, INTENDED, LIMITS, OUT_OF_SCOPE, marking, not_measured, origin, withdrawal


def rai_fields(facts: Facts) -> dict[str, Any]:
    """Every field of the vocabulary that has a true value.

    dataCollectionTimeframe takes dates only, and a run keeps none, so that equal runs are equal byte by byte; dataCollection says so instead.
    """
    config, counts = facts.config, facts.counts
    asked = f"{counts['accepted']:,} of {counts['slots']:,} slots are filled, {counts['unfilled']:,} aren't; slots/ and the markers in data/ say why."
    text: dict[str, Any] = {
        "dataCollection": "Nothing was collected: a diffusion model drew the pictures from a recipe, and each was judged before it was kept. "
        f"When is not recorded, so that equal runs are equal. {origin(facts)}",
        "dataCollectionType": ["Others", "Software Collection"],
        "dataCollectionRawData": origin(facts),
        "dataCollectionMissingData": f"{asked} A label that was not asked or could not be measured is null.",
        "dataImputationProtocol": "Nothing was imputed.",
        "dataManipulationProtocol": f"Pictures are stored as the core drew them ({config.image.format}). {marking(facts)}",
        "dataPreprocessingProtocol": [
            "References are aligned on five points before they are embedded.",
            f"Attempts that fail one of these checks are not among the accepted ones: {', '.join(config.qc.rejecting)}.",
        ],
        "dataAnnotationProtocol": "Columns that begin with req_ are copied from the recipe. Those that begin with obs_, sim_, q_ and n_ are measured by "
        "networks and code; prov:wasAttributedTo of each field names which. No person annotated anything.",
        "dataAnnotationPlatform": [f"facemint {facts.record.versions['facemint']}"],
        "dataAnnotationAnalysis": [
            "qc_report.json compares what was asked with what an estimator read that had no part in making the picture, and the gate with an auditor.",
            *not_measured(facts),
        ],
        "annotationsPerItem": "0",  # the vocabulary means those of people
        "annotatorDemographics": ["There are no human annotators."],
        "machineAnnotationTools": [f"{entry['component']} ({entry['licence']})" for entry in facts.licences if entry["kind"] == "weights"],
        "dataBiases": list(BIASES),
        "dataLimitations": [*LIMITS, *OUT_OF_SCOPE],
        "dataSocialImpact": "Synthetic faces spare people from being photographed and labelled; they also make it cheaper to build systems that judge "
        "faces, and to deceive with faces. See the uses that are out of scope.",
        "dataUseCases": list(INTENDED),
        "personalSensitiveInformation": [origin(facts), withdrawal(facts)],
        "dataReleaseMaintenancePlan": withdrawal(facts),
    }
    return {f"rai:{name}": value for name, value in text.items()}
