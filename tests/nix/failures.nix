# attribute set -> list: like nixpkgs' `lib.runTests`. Each test is { expr; expected; }; a failure
# names the test, what was expected and what came. An `expr` that throws gives "threw".
tests:
let
  outcome =
    expr:
    let
      attempt = builtins.tryEval (builtins.deepSeq expr expr);
    in
    if attempt.success then attempt.value else "threw";
in
builtins.concatMap (
  name:
  let
    inherit (tests.${name}) expected;
    result = outcome tests.${name}.expr;
  in
  if result == expected then [ ] else [ { inherit name expected result; } ]
) (builtins.attrNames tests)
