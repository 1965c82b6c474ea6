"""Makes src/catalogue/ms_swift_4.toml from what a release's own parser declares.

    python3 tests/catalogue/extract.py DECLARED.json > src/catalogue/ms_swift_4.toml

DECLARED.json: {"swift_version": "4.6.0", "commands": {"sft": [{"name", "type",
"default", "choices", "nargs"}, …]}}, argparse's actions as they are. Groups,
texts, marks, conditions and domains come from ms_swift_3.toml, by name.

    python3 tests/catalogue/extract.py --names PAGE.md > tests/catalogue/ms_swift_3_names.txt

lists the arguments of the page that ms_swift_3.toml describes, as `name`, or
`name *` where it is recommended.
"""

import json
import re
import sys
import tomllib
from pathlib import Path

OLD = Path(__file__).parents[2] / "src/catalogue/ms_swift_3.toml"
TYPES = {"int": "int", "float": "float", "string_to_bool": "bool", "dict": "json"}
VLLM = ["gpu_memory_utilization", "tensor_parallel_size", "pipeline_parallel_size",
        "max_num_seqs", "max_model_len", "disable_custom_all_reduce", "enforce_eager",
        "limit_mm_per_prompt"]
LMDEPLOY = ["tp", "session_len", "cache_max_entry_count", "quant_policy", "vision_batch_size"]
FORMER = {
    "tuner_type": "train_type",
    "load_from_cache_file": "enable_cache",
    "agent_template": "tools_prompt",
    "use_liger_kernel": "use_liger",
    **{f"vllm_{name}": name for name in VLLM},
    **{f"lmdeploy_{name}": name for name in LMDEPLOY},
}
HEAD = """\
# The arguments of ms-swift {release}, as its own parser declares them. Made by
# tests/catalogue/extract.py: write texts, conditions and domains in
# ms_swift_3.toml and make this file again. `former` is the name in release 3.
release = "{release}"
"""


def names(page):
    for mark, name in re.findall(r"^-\s*(🔥?)\s*(\w+)\s*:", page.read_text(), re.M):
        print(f"{name} *" if mark else name)


def toml(value):
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def declared(action):
    """The facts of one of argparse's actions; None for the --no_… of a switch."""
    if action["nargs"] == 0:
        return None
    choices = [choice for choice in action["choices"] or [] if choice is not None]
    kind = TYPES.get(action["type"], "str")
    if choices and all(isinstance(choice, int) for choice in choices):
        kind = "int"
    facts = {"type": kind}
    if action["nargs"] == "+":
        facts["list"] = True
    default = action["default"]
    if kind == "bool" and default == "no":
        default = False
    if isinstance(default, dict):
        facts["type"] = "json"
    elif default is not None:
        facts["default"] = default
    if choices:
        facts["choices"] = choices
    return facts


def described(old, name, command):
    """Group and description of the argument in release 3, where there is one."""
    former = FORMER.get(name, name)
    groups = [
        (group, argument)
        for group in old["group"]
        for argument in group["arguments"]
        if argument["name"] == former and "models" not in group
    ]
    # A name that another took over from means something else by now.
    if not groups or name in FORMER.values():
        return "other", {}
    own = [entry for entry in groups if command in entry[0]["commands"]]
    group, argument = (own or groups)[-1]
    facts = {}
    if former != name:
        facts["former"] = former
    if argument.get("recommended"):
        facts["recommended"] = True
    whens = [when for when in (group.get("when"), argument.get("when")) if when]
    # A condition is only known to hold for the commands that it was written for,
    # and where the name has no other meaning beside it.
    if whens and len(own) == 1:
        when = whens[0] if len(whens) == 1 else " and ".join(f"({w})" for w in whens)
        for new, before in FORMER.items():
            when = re.sub(rf"\b{before}\b", new, when)
        facts["when"] = when
    for key in ("tune", "zh", "en"):
        if key in argument:
            facts[key] = argument[key]
    return group["name"], facts


def main():
    if sys.argv[1] == "--names":
        return names(Path(sys.argv[2]))
    given = json.loads(Path(sys.argv[1]).read_text())
    old = tomllib.loads(OLD.read_text())
    entries = {}
    for command, actions in given["commands"].items():
        for action in actions:
            facts = declared(action)
            if facts:
                group, more = described(old, action["name"], command)
                key = (group, action["name"], json.dumps({**facts, **more}))
                entries.setdefault(key, []).append(command)
    groups = {group["name"]: [] for group in old["group"] if "models" not in group}
    for (group, name, facts), commands in entries.items():
        facts = {"name": name, "commands": commands, **json.loads(facts)}
        groups.setdefault(group, []).append(facts)
    print(HEAD.format(release=given["swift_version"]), end="")
    for group, arguments in groups.items():
        if arguments:
            print(f'\n[[group]]\nname = "{group}"\narguments = [')
            for facts in arguments:
                pairs = ", ".join(f"{key} = {toml(value)}" for key, value in facts.items())
                print(f"  {{ {pairs} }},")
            print("]")


main()
