# The checks as Hydra wants them: the job, then the system.
{
  # attribute set: checks.<system>.<name>.
  checks,
}:
let
  systems = builtins.attrNames checks;
  names = builtins.attrNames checks.${builtins.head systems};
in
builtins.listToAttrs (
  map (name: {
    inherit name;
    value = builtins.mapAttrs (_system: ofSystem: ofSystem.${name}) checks;
  }) names
)
