from __future__ import annotations

import shutil

import numpy as np
import pytest

from manifests.errors import WeightsError
from qc.alignment import recogniser_crops
from qc.images import require_picture
from qc.packs import insightface_pack
from tests.qc.nets import write_net


def test_a_folder_that_is_no_pack_is_explained_and_nothing_is_fetched(tmp_path):
    with pytest.raises(WeightsError, match="is not a folder"):
        insightface_pack(tmp_path / "buffalo_l")
    with pytest.raises(WeightsError, match="holds no ONNX files"):
        insightface_pack(tmp_path)
    write_net(tmp_path / "buffalo_l" / "buffalo_l" / "gate.onnx", {"embedding": (16,)})
    with pytest.raises(WeightsError, match="Name .*buffalo_l/buffalo_l"):
        insightface_pack(tmp_path / "buffalo_l")
    with pytest.raises(WeightsError, match="no detection"):
        insightface_pack(tmp_path / "buffalo_l" / "buffalo_l")


def test_a_damaged_file_of_a_pack_is_named(tmp_path, shared):
    for path in (shared / "models" / "insightface" / "buffalo_mini").glob("*.onnx"):
        shutil.copyfile(path, tmp_path / path.name)
    (tmp_path / "det_500m.onnx").write_bytes(b"cut off")
    with pytest.raises(WeightsError, match="det_500m.onnx can't be opened"):
        insightface_pack(tmp_path)


def test_a_users_pack_finds_and_embeds_real_faces(shared, capsys):
    pack = insightface_pack(shared / "models" / "insightface" / "buffalo_mini")
    embeddings = []
    for name in ("astronaut.jpg", "obama_1.jpg", "biden_1.jpg"):
        picture = require_picture(shared / "photos" / name)
        (face,) = pack.detector.detect(picture.image_rgb)
        assert face.score > 0.6
        assert face.landmarks5_px[0, 0] < face.landmarks5_px[1, 0]
        embeddings.append(pack.recogniser.embed(recogniser_crops([picture.image_rgb], [face.landmarks5_px]))[0])
    cosines = np.array(embeddings) @ np.array(embeddings).T
    assert cosines[np.triu_indices(3, 1)].max() < 0.4
    assert pack.detector.detect(np.full((128, 128, 3), 90, np.uint8)) == []
    assert capsys.readouterr().out == ""
