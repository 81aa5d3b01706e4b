"""Sentences that the card and the Croissant description share: origin, uses, limits, and how marks are found."""

from __future__ import annotations

from jobs.papers.facts import Facts
from jobs.papers.release import NOT_STATED

INTENDED = (
    "Training and testing of facial-expression recognition, as an addition to photographs of people who agreed.",
    "Training and testing of face recognition and of its fairness, as an addition to licensed photographs.",
    "Research on controlled generation: what was asked for, what was measured and what was rejected is all here.",
)
OUT_OF_SCOPE = (
    "Deciding about people: hiring, policing, credit, insurance, border control, diagnosis.",
    "Recognising emotions of workers, pupils or students, which Article 5(1)(f) of the EU AI Act prohibits with few exceptions.",
    "Showing these faces as real people, or making it look as if somebody had said or done something.",
    "Claiming that a model is fair or accurate on people because it is on these pictures.",
    "Taking an expression for a feeling.",
)
LIMITS = (
    "Labels say what was asked for and what networks measured, not what people see: no person has rated the pictures.",
    "The bundled networks were trained on rendered faces only, so on photographs their figures are less certain than on rendered ones.",
    "Accepted pictures are those that the gate lets pass: what its networks misjudge is over-represented. rejected/ lets you study that.",
    "Expressions are posed faces of single words, and an expression word has no single agreed face.",
)
BIASES = (
    "Who there is follows from the identity prior, or from the photographs that were given; sampled people carry no demographic label, so balance over "
    "age, skin or sex was neither asked for nor measured.",
    "The mapping from 136 words to eight, seven or six classes loses differences; words without an honest class have none.",
    "Cells differ in how many of their attempts were accepted; report.html shows it by identity and expression.",
)
GATED = (
    "These faces are synthetic, and labels of expressions are no statements about feelings. By asking for access you agree not to use the data to decide "
    "about people, not to recognise emotions of workers, pupils or anyone who did not agree, and not to pass the pictures off as real."
)


def origin(facts: Facts) -> str:
    """Who is in the pictures, and with whose consent."""
    people = (
        "The people come from photographs in a folder that the recipe names. Facemint can't see whether they agreed: whoever made this data set must have "
        "the right to use these photographs for this, and owes those people a way to withdraw."
        if facts.photographed_people
        else "The people are drawn from an identity prior that was trained on rendered heads. None of them exists, and nobody's photograph was used for them."
    )
    scenes = (
        " The surroundings of the faces are photographs of the recipe's folder, for which the same holds; outside the face they are seen as they were taken."
        if facts.photographed_scenes
        else " The surroundings are rendered scenes that come with facemint; no camera took them."
    )
    return people + scenes


def withdrawal(facts: Facts) -> str:
    """Whom to write to."""
    contact = facts.release.contact or NOT_STATED
    return f"Contact for questions, corrections and withdrawal: {contact}."


def data_licence(facts: Facts) -> str:
    """The licence of the data set, as far as its owner said."""
    return facts.release.licence or NOT_STATED


def marking(facts: Facts) -> str:
    """What is in the picture files, and how it is found."""
    marker = facts.marker
    parts = []
    if marker.iptc:
        parts.append(f"Every picture carries the IPTC digital source type {facts.source_type} in its XMP metadata; saving it in another program may delete it.")
    if marker.watermark is not None:
        parts.append(
            f"Every picture carries the run's id {marker.watermark:012x} as an invisible watermark of 48 bits, which JPEG of quality 75 leaves readable. "
            "It changes pixels a little."
        )
    if not parts:
        return "The pictures carry no marks: the recipe switched them off. pixel_sha256 in the labels still tells whether a picture is one of these."
    return " ".join(parts) + " `facemint detect FILE...` prints what it finds. pixel_sha256 in the labels tells whether an unchanged picture is one of these."


def not_measured(facts: Facts) -> list[str]:
    """What nobody knows about this data set."""
    stated = [str(sentence) for sentence in facts.summary.get("not_measured") or []]
    return [
        *stated,
        "Agreement of human raters with the labels.",
        "Apparent age, sex and skin tone of the faces.",
        "What training on these pictures does to a model.",
    ]
