"""The script that trains on the host: each model by a command of its own, the runs packed to be fetched."""

from collections.abc import Mapping, Sequence

from kagglekit.notebooks.script import BEGIN, TOGETHER

TRAIN = '''\
import json
import shutil
import tempfile
import zipfile

MODELS = {models!r}
SLUG, OUTPUT, RESULT = "{slug}", Path("{output}").absolute(), "{result}"
LIMIT_S = {limit}
UNNEEDED = ("last.safetensors",)

work = Path(tempfile.mkdtemp(prefix="kagglekit-"))
with zipfile.ZipFile(next(folder.glob("{wheel}-*.whl"))) as wheel:
    wheel.extractall(work / "code")
for packed in folder.glob("checkpoint-*.zip"):
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(work / "checkpoints" / packed.stem.removeprefix("checkpoint-"))
added = [path for path in sys.path if "kagglekit-packages" in path]
environment = dict(os.environ, PYTHONPATH=os.pathsep.join([str(work / "code"), *added]))
if not Path("/kaggle/input").is_dir():  # another folder stands for /kaggle
    environment["KAGGLEKIT_INPUT"] = str(MOUNTS / "competitions" / SLUG)
results = {{}}


def train(model: str, settings: list[str]) -> int | None:
    """Train a model with what is left of the time; return the exit code, or None where it was too little."""
    words = [word for setting in settings for word in ("--set", setting.replace("WORK", str(work)))]
    places = ["--set", f"workspace={{work}}/workspace", "--set", f"submissions={{work}}/submissions"]
    command = [sys.executable, "-m", "kagglekit", "-C", str(folder / "competition.yaml"), *words, *places]
    process = subprocess.Popen([*command, "train", "--model", model], env=environment, cwd=work)
    try:
        return process.wait(max(LIMIT_S - (time.perf_counter() - STARTED), 1))
    except subprocess.TimeoutExpired:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
        return None


def pack() -> int:
    """Write the finished runs, and how each training ended; return the number of runs."""
    runs = work / "workspace" / "runs"
    finished = sorted(path.parent for path in runs.glob("*/*/metrics.json"))
    part = OUTPUT.with_suffix(".part")
    with zipfile.ZipFile(part, "w") as archive:  # weights do not shrink
        archive.writestr(RESULT, json.dumps({{"key": KEY, "models": results}}))
        for run in finished:
            for path in sorted(run.rglob("*")):
                if path.is_file() and path.suffix != ".lock" and path.name not in UNNEEDED:
                    archive.write(path, path.relative_to(runs.parent))
    part.replace(OUTPUT)
    return len(finished)


count = 0
for model, settings in MODELS.items():
    began = time.perf_counter()
    print(f"training {{model}}", flush=True)
    code = train(model, settings)
    results[model] = {{"code": code, "seconds": round(time.perf_counter() - began, 1)}}
    print(f"{{model}}: {{'no time was left' if code is None else f'exit code {{code}}'}}", flush=True)
    count = pack()
shutil.rmtree(work, ignore_errors=True)
sys.exit(0 if count else 1)
'''


def training_script(
    key: str,
    title: str,
    dataset: str,
    models: Mapping[str, Sequence[str]],
    *,
    competition: str,
    output: str,
    result: str,
    limit_s: float,
    version: str,
    wheel: str,
    least: Mapping[str, str],
) -> str:
    """Return the script's text.

    Args:
        key: of the job, which the data set must have.
        models: the settings of each; WORK in them is the folder that the script works in.
        competition: its slug.
        output, result: names of the archive, and of what it says of each training.
        limit_s: seconds after which nothing is trained any more.
        wheel: name of kagglekit's wheel, without its version.
        least: packages that may be lacking, and their lowest versions.
    """
    return (BEGIN + "\n" + TRAIN).format(
        key=key,
        title=title,
        about=f"Trains {', '.join(models)}.",
        dataset=dataset,
        version=version,
        least=dict(least),
        together=TOGETHER,
        models={name: list(settings) for name, settings in models.items()},
        slug=competition,
        output=output,
        result=result,
        limit=limit_s,
        wheel=wheel,
    )
