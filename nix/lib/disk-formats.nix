# The formats of nixpkgs' make-disk-image.nix by name: the binary's `container`, what the file ends
# in, and what the format is called beside it.
{
  raw = {
    container = "raw";
    extension = "img";
    name = "raw";
  };
  qcow2 = {
    container = "qcow2";
    extension = "qcow2";
    name = "qcow2";
  };
  qcow2-compressed = {
    container = "qcow2-compressed";
    extension = "qcow2";
    name = "qcow2";
  };
  vpc = {
    container = "vhd-dynamic";
    extension = "vhd";
    name = "vpc";
  };
}
