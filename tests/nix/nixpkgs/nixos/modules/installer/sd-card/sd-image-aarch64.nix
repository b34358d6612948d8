# The SD image with the firmware of a Raspberry Pi.
{ config, ... }:
{
  imports = [ ./sd-image.nix ];

  sdImage = {
    populateFirmwareCommands = "echo arm_64bit=1 >firmware/config.txt";
    populateRootCommands = ''
      mkdir -p ./files/boot
      echo ${config.system.build.toplevel} >./files/boot/system
    '';
  };
}
