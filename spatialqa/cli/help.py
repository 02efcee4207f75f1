"""Help texts: commands with their whole summaries, and options in named groups where a command has dozens."""

from collections.abc import Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem

from spatialqa.generation.recipe_help import COMMON, GROUPS, example

Record = tuple[str, str]
_KINDS = {
    "rooms": ("procedural", "mesh:", "mp3d", "hm3d:", "gibson:", "replica:", "bank:"),
    "clips": ("foley", "folder:", "audioset", "fsd50k:", "esc50:"),
}


class KeyOption(click.Option):
    """An option of a recipe key.

    models: the models that have it, where not all of the command's have; else none. values: what it may be, where that
    is a list; is_path: whether it names a file; standard: its default in the recipe.
    """

    def __init__(
        self,
        *args: Any,
        models: str = "",
        values: tuple[str, ...] = (),
        is_path: bool = False,
        standard: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.models, self.values, self.is_path, self.standard = models, values, is_path, standard

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete one of the values, a kind of rooms or clips, or the name of a file."""
        values = self.values or _KINDS.get(self.name or "", ())
        if not values and self.is_path:
            return [CompletionItem(incomplete, type="file")]
        return [CompletionItem(value) for value in values if value.startswith(incomplete)]


class Commands(click.Group):
    """A group whose help lists its commands in the order in which they were added, with the whole of each summary."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands and their summaries."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, _summary(command)) for name, command in self.commands.items()])


def _summary(command: click.Command) -> str:
    return " ".join((command.help or "").partition("\n\n")[0].split())


class ModelsCommand(click.Command):
    """A command whose help lists the options of all models first, then those of each model."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, in sections."""
        sections: dict[str, list[Record]] = {}
        for option in self.get_params(ctx):
            record = option.get_help_record(ctx)
            if isinstance(option, click.Option) and record:
                sections.setdefault(getattr(option, "models", ""), []).append(record)
        for models, records in sections.items():
            with formatter.section(f"Options of {models} only" if models else "Options"):
                formatter.write_dl(records)


class RecipeCommand(click.Command):
    """A command with the keys of `render`: --help shows what most people need, --help-all everything in groups."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        everything = click.Option(
            ["--help-all"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_show_everything,
            help="Show all options in groups, with an example of each, and exit.",
        )
        self.params.append(everything)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options: the common ones, or all of them in groups."""
        keys = {option.name: option for option in self.params if isinstance(option, KeyOption)}
        others = [option for option in self.get_params(ctx) if isinstance(option, click.Option)]
        own = _records(ctx, [option for option in others if not isinstance(option, KeyOption)])
        if not ctx.meta.get(_EVERYTHING):
            common = _records(ctx, [keys[name] for name in COMMON if name in keys])
            with formatter.section("Options"):
                formatter.write_dl([*common, *own])
            if hidden := len(keys) - len(common):
                formatter.write_paragraph()
                formatter.write_text(f"{hidden} more options: {ctx.command_path} --help-all")
            return
        for title, examples in GROUPS.items():
            with formatter.section(title):
                options = [keys[name] for name in examples if name in keys]
                formatter.write_dl([row for option in options for row in _with_example(ctx, option)])
        with formatter.section("Other options"):
            formatter.write_dl(own)


_EVERYTHING = "spatialqa.help_all"


def _show_everything(ctx: click.Context, option: click.Parameter, wanted: bool) -> None:
    if wanted:
        ctx.meta[_EVERYTHING] = True
        click.echo(ctx.get_help())
        ctx.exit()


def _records(ctx: click.Context, options: Sequence[click.Option]) -> list[Record]:
    return [record for option in options if (record := option.get_help_record(ctx))]


def _with_example(ctx: click.Context, option: KeyOption) -> list[Record]:
    return [*_records(ctx, [option]), ("", f"e.g. {example(option.name or '', option.standard)}")]
