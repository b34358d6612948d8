# string -> (string -> any -> any) -> list -> list: `check` of each item, with what errors call it:
# `argument` and its place, from 0.
argument: check: items:
builtins.genList (index: check "${argument}[${toString index}]" (builtins.elemAt items index)) (
  builtins.length items
)
