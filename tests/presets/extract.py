#!/usr/bin/env python3
"""Writes the facts that the presets are held against, from the sources of a
release, of which nothing is run (of llama.cpp, from its help):

    extract.py vllm DIR > vllm.json      DIR: the unpacked sdist of vLLM
    extract.py sglang DIR > sglang.json  DIR: the unpacked wheel of SGLang
    extract.py llama-cpp FILE > llama-cpp.json
                                         FILE: what `llama-server --help` says

Options by program: type, default and choices as far as the source says them
literally, and whether an option is a flag. Of the benchmark's result: its
fields.
"""

import ast
import json
import re
import sys
from pathlib import Path

UNKNOWN = {"computed": True}


class Sources:
    """Names and classes of some files."""

    def __init__(self, root, patterns):
        self.names, self.classes, self.trees = {}, {}, {}
        for path in sorted(p for pattern in patterns for p in root.glob(pattern)):
            tree = self.trees[path.name] = ast.parse(path.read_text())
            for node in tree.body:
                target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
                if isinstance(target, ast.Name) and node.value is not None:
                    self.names[target.id] = node.value
                if isinstance(node, ast.ClassDef):
                    self.classes[node.name] = {
                        field.target.id: field
                        for field in node.body
                        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
                    }

    def value(self, node, scope=None):
        """What an expression comes to; raises ValueError where that is computed."""
        if isinstance(node, ast.Name):
            inner = (scope or {}).get(node.id)
            inner = inner.value if inner is not None else self.names.get(node.id)
            if inner is None:
                raise ValueError(node.id)
            return self.value(inner, scope)
        text = ast.unparse(node)
        if text == "float('inf')":
            return "inf"
        keys = re.fullmatch(r"list\((\w+)\.keys\(\)\)", text)
        if keys and isinstance(self.names.get(keys[1]), ast.Dict):
            return [ast.literal_eval(key) for key in self.names[keys[1]].keys]
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Field":
            given = {k.arg: k.value for k in node.keywords}
            return self.value(given["default"], scope) if "default" in given else UNKNOWN
        return ast.literal_eval(node)

    def choices(self, annotation):
        """The values of a Literal, also by its name and within a union: those
        that are known, where `| str` would take any."""
        found = []
        for node in ast.walk(annotation):
            if isinstance(node, ast.Name) and isinstance(self.names.get(node.id), ast.Subscript):
                found += self.choices(self.names[node.id]) or []
            if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Literal":
                values = getattr(node.slice, "elts", [node.slice])
                found += [value.value for value in values if isinstance(value, ast.Constant)]
        return found or None

    def known(self, node, scope=None):
        try:
            value = self.value(node, scope)
        except ValueError:
            return UNKNOWN
        return sorted(value) if isinstance(value, set) else value


def option(kind, default, choices=None, flag=None):
    """`flag` is "no" where there is also --no-NAME, "yes" where there is not."""
    facts = {"type": kind, "default": default}
    facts |= {"choices": choices} if choices else {}
    return facts | ({"flag": flag} if flag else {})


def of_field(sources, fields, field):
    """An option made from a field of vLLM's configuration."""
    kind = ast.unparse(field.annotation)
    default = sources.known(field.value, fields) if field.value is not None else UNKNOWN
    if re.search(r"\bbool\b", kind):
        return option("bool", default, flag="no")
    return option(kind, default, sources.choices(field.annotation))


def of_call(sources, call):
    """An option from what add_argument() is told."""
    given = {k.arg: k.value for k in call.keywords if k.arg}
    action = ast.unparse(given["action"]) if "action" in given else ""
    default = sources.known(given["default"]) if "default" in given else None
    if action == "'store_true'":
        return option("bool", False, flag="yes")
    if action.endswith("BooleanOptionalAction"):
        return option("bool", default, flag="no")
    choices = sources.known(given["choices"]) if "choices" in given else None
    return option(ast.unparse(given["type"]) if "type" in given else "str", default, choices)


def calls(tree):
    """Every add_argument("--name", ...): its names and itself."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("add_argument"):
            names = [a.value for a in node.args if isinstance(a, ast.Constant)]
            names = [name for name in names if name.startswith("--")]
            if names:
                yield names, node


def vllm_serve(sources, function):
    """EngineArgs.add_cli_args(): most options are fields of a configuration."""
    of_variable = {
        node.targets[0].id: sources.classes[node.value.args[0].id]
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and ast.unparse(node.value.func) == "get_kwargs"
    }
    options = {}
    for names, call in calls(function):
        spread = [ast.unparse(k.value) for k in call.keywords if k.arg is None]
        field = re.search(r"(\w+)\[['\"](\w+)['\"]\]", spread[0]) if spread else None
        if field and field[1] in of_variable:
            fields = of_variable[field[1]]
            facts = of_field(sources, fields, fields[field[2]])
            if "'default': None" in spread[0]:
                facts["default"] = None
        else:
            facts = of_call(sources, call)
        options |= {name: facts for name in names}
    return options


def result_fields(sources, function):
    """The keys of `result`, as they are without detailed output."""
    fields, patterns = [], []
    for node in ast.walk(function):
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Dict):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if ast.unparse(target) == "result":
                fields += [key.value for key in node.value.keys if isinstance(key, ast.Constant)]
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
            place = node.targets[0]
            if ast.unparse(place.value) == "result" and isinstance(place.slice, ast.JoinedStr):
                patterns.append(ast.unparse(place.slice)[2:-1])
    # f"p{p_word}_{metric_attribute_name}_ms", with the defaults of
    # --percentile-metrics and --metric-percentiles.
    for pattern in patterns:
        for metric in ["ttft", "tpot", "itl"]:
            fields.append(pattern.replace("{metric_attribute_name}", metric).replace("{p_word}", "99"))
    return sorted(set(fields))


def function(tree, name, within=None):
    for node in ast.walk(tree):
        if within and isinstance(node, ast.ClassDef) and node.name == within:
            return function(node, name)
        if not within and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == name:
            return node
    raise SystemExit(f"there is no {name}")


def vllm(root):
    root = root / "vllm"
    config = Sources(root, ["config/*.py", "entrypoints/**/cli_args.py", "engine/arg_utils.py"])
    serve = {}
    for name in ["BaseFrontendArgs", "FrontendArgs"]:
        fields = config.classes.get(name, {})
        serve |= {"--" + f.replace("_", "-"): of_field(config, fields, fields[f]) for f in fields}
    frontend = calls(config.trees["cli_args.py"])
    serve |= {name: of_call(config, call) for names, call in frontend for name in names}
    serve |= vllm_serve(config, function(config.trees["arg_utils.py"], "add_cli_args", "EngineArgs"))
    bench = Sources(root, ["benchmarks/*.py", "benchmarks/lib/*.py", "benchmarks/datasets/*.py"])
    trees = [bench.trees["serve.py"], bench.trees["datasets.py"]]
    options = {name: of_call(bench, call) for tree in trees for names, call in calls(tree) for name in names}
    release = re.search(r"version = '([^']+)'", (root / "_version.py").read_text())[1]
    result = result_fields(bench, function(bench.trees["serve.py"], "benchmark"))
    # What main() leaves out without --save-detailed.
    details = re.search(r"for field in \[(.*?)\]", ast.unparse(function(bench.trees["serve.py"], "main_async")), re.S)
    result = [field for field in result if repr(field) not in details[1]]
    return release, {"vllm serve": serve, "vllm bench serve": options}, result


def sglang(root):
    args = root / "sglang/srt/arg_groups"
    sources = Sources(args, ["choices.py", "fields/*.py"])
    serve = {}
    for fields in sources.classes.values():
        for name, field in fields.items():
            if not ast.unparse(field.annotation).startswith("A["):
                continue
            kind, meta = field.annotation.slice.elts[:2]
            given = {k.arg: k.value for k in getattr(meta, "keywords", [])}
            if "no_cli" in given:
                continue
            names = [ast.literal_eval(given["cli_name"]) if "cli_name" in given else "--" + name.replace("_", "-")]
            names += ast.literal_eval(given["aliases"]) if "aliases" in given else []
            default = sources.known(field.value) if field.value is not None else UNKNOWN
            if ast.unparse(kind) == "bool" and "action" not in given:
                facts = option("bool", default, flag="yes")
            else:
                choices = sources.known(given["choices"]) if "choices" in given else sources.choices(kind)
                facts = option(ast.unparse(kind), default, choices)
            serve |= {name: facts for name in names}
    bench = Sources(root / "sglang/benchmark", ["serving.py"])
    tree = bench.trees["serving.py"]
    options = {name: of_call(bench, call) for names, call in calls(tree) for name in names}
    release = re.search(r"^Version: (.*)$", next(root.glob("sglang-*/METADATA")).read_text(), re.M)[1]
    result = result_fields(bench, function(tree, "benchmark"))
    return release, {"sglang serve": serve, "sglang.benchmark.serving": options}, result


def llama_cpp(file):
    """Names stand at the start of a line, what they mean in column 40."""
    options, names, said = {}, [], ""
    for line in file.read_text().splitlines() + ["-end"]:
        if not line.startswith("-"):
            said += " " + line.strip()
            continue
        default = re.search(r"default: '?([^ ,;)']+)", said)
        allowed = re.search(r"allowed values: (.*?)(?: \(|$)", said)
        among = re.search(r"^[^<]*\[(on\|off(?:\|auto)?)\]", said)
        choices = allowed[1].split(", ") if allowed else among[1].split("|") if among else None
        has_value = re.search(r"^[-\w, ]*?--[\w-]+ [A-Z<\[{]", said)
        found = default[1] if default and has_value else None
        is_number = re.search(r"^[-\w, ]*?--[\w-]+ N\b", said) and re.fullmatch(r"-?\d+", found or "0")
        kind = "int" if is_number else "str" if has_value else "bool"
        for name in names:
            options[name] = option(kind, found, choices, None if has_value else "yes")
        said = line
        head = re.split(r"\s{2,}", re.sub(r",\s+", ", ", line))[0]
        names = re.findall(r"(?:^|[ ,])(--?[\w-]+)", head)
    options.pop("-end", None)
    return "b10434", {"llama-server": options}, []


extractors = {"vllm": vllm, "sglang": sglang, "llama-cpp": llama_cpp}
release, programs, result = extractors[sys.argv[1]](Path(sys.argv[2]))
print("{")
print(f' "release": {json.dumps(release)},\n "programs": {{')
for number, (program, options) in enumerate(programs.items()):
    lines = [f"   {json.dumps(name)}: {json.dumps(facts)}" for name, facts in sorted(options.items())]
    end = "," if number + 1 < len(programs) else ""
    print(f"  {json.dumps(program)}: {{\n" + ",\n".join(lines) + f"\n  }}{end}")
print(f' }},\n "result": {json.dumps(result)}\n}}')
