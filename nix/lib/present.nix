# attribute set -> attribute set: without the attributes that are null, so that the binary's own
# defaults hold.
attrs:
removeAttrs attrs (builtins.filter (name: attrs.${name} == null) (builtins.attrNames attrs))
