//! Language models: decoder-only transformers of the Qwen2 and Llama families in libtorch, LoRA adapters in PEFT's format, and populations of
//! adapters that answer as one batch through one set of weights (ESSA, 2025, <https://arxiv.org/abs/2507.04453>).
