"""Marks that say a picture is synthetic: IPTC metadata, an invisible watermark, and signed C2PA manifests."""
