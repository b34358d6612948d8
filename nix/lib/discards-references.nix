# string -> bool: whether a Nix of this version takes `unsafeDiscardReferences`: it is stable from
# 2.18 on; 2.14 to 2.17 refuse it unless an experimental feature is on; older ones ignore it.
nixVersion: builtins.compareVersions nixVersion "2.18" >= 0
