# string -> string: a GUID in lower case.
builtins.replaceStrings
  [
    "A"
    "B"
    "C"
    "D"
    "E"
    "F"
  ]
  [
    "a"
    "b"
    "c"
    "d"
    "e"
    "f"
  ]
