{
  description = "A stand-in for nixpkgs, where there is no network";

  outputs =
    { self }:
    {
      lib = import ./lib.nix // {
        nixosSystem = import ./nixos/lib/eval-config.nix;
      };
      legacyPackages = self.lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (
        system: import ./. { inherit system; }
      );
    };
}
