"""Makes a model folder as Hugging Face's libraries have it of a GGUF file.

python model.py FILE.gguf FOLDER
"""

import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

file, folder = Path(sys.argv[1]), sys.argv[2]
tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
model = AutoModelForCausalLM.from_pretrained(
    file.parent, gguf_file=file.name, dtype=torch.float32
)
# A model that was quantised refuses to be saved, although its weights are plain
# numbers by now: they are given to a model that never was.
config = model.config
if hasattr(config, "quantization_config"):
    del config.quantization_config
plain = type(model)(config).to(torch.float32)
plain.load_state_dict(model.state_dict(), strict=False)
plain.tie_weights()
plain.generation_config = model.generation_config
plain.save_pretrained(folder)
tokenizer.save_pretrained(folder)
