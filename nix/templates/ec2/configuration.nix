{
  # For Graviton, "aarch64-linux".
  nixpkgs.hostPlatform = "x86_64-linux";

  networking.hostName = "instance";

  # What the instance does. Its keys come from EC2.
  services.openssh.enable = true;

  # The release that you began with; it stays.
  system.stateVersion = "25.11";
}
