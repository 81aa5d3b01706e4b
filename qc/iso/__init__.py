"""Face image quality in the manner of ISO/IEC 29794-5:2025: native measures by our own nets, and that standard's mappings to 0 .. 100."""
