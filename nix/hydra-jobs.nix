# The checks and images as Hydra wants them: the job, then the system.
{
  # attribute set: checks.<system>.<name>.
  checks,
  # attribute set: images.<system>.<name>.
  images,
}:
let
  # All jobs of two such sets; a job need not be there for every system.
  ofAllSystems =
    sets:
    builtins.foldl' (
      jobs: system:
      builtins.foldl' (
        jobs: name:
        jobs // { ${name} = jobs.${name} or { } // { ${system} = sets.${system}.${name}; }; }
      ) jobs (builtins.attrNames sets.${system})
    ) { } (builtins.attrNames sets);
in
ofAllSystems checks // ofAllSystems images
