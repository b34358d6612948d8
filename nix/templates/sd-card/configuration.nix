{
  nixpkgs.hostPlatform = "aarch64-linux";

  networking.hostName = "card";

  services.openssh.enable = true;
  # Yours, or nobody gets in.
  users.users.root.openssh.authorizedKeys.keys = [ ];

  # The release that you began with; it stays.
  system.stateVersion = "25.11";
}
