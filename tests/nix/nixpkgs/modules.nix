# The parts of nixpkgs' module system that our modules use: options that stand in any depth,
# `mkIf`, `mkMerge` and priorities. What is not declared is an error.
{ isFunction }:
let
  inherit (builtins)
    attrNames
    concatMap
    filter
    foldl'
    head
    isAttrs
    mapAttrs
    removeAttrs
    ;

  is = type: value: isAttrs value && value._type or null == type;

  # The definitions of attribute sets, conditions and priorities moved into them: what a condition
  # asks for may stand in the same set.
  pushDown =
    definition:
    if is "merge" definition then
      concatMap pushDown definition.contents
    else if is "if" definition || is "override" definition then
      map (mapAttrs (_name: content: definition // { inherit content; })) (pushDown definition.content)
    else
      [ definition ];

  # Those of one attribute.
  at = name: concatMap (definition: if definition ? ${name} then [ definition.${name} ] else [ ]);

  # The values of an option with their priorities: the least number counts.
  discharge =
    priority: definition:
    if is "merge" definition then
      concatMap (discharge priority) definition.contents
    else if is "if" definition then
      if definition.condition then discharge priority definition.content else [ ]
    else if is "override" definition then
      discharge definition.priority definition.content
    else
      [
        {
          inherit priority;
          value = definition;
        }
      ];

  mergeDefinitions =
    location: type: definitions:
    let
      all = concatMap (discharge 100) definitions;
      least = foldl' (least: { priority, ... }: if priority < least then priority else least) 10000 all;
      values = filter (definition: definition.priority == least) all;
    in
    if values == [ ] then
      throw "the option ${toString location} has no value"
    else if !builtins.all (definition: type.check definition.value) values then
      throw "the option ${toString location} has a value of another type"
    else
      type.merge location values;

  configOf =
    location: options: definitions:
    if is "option" options then
      mergeDefinitions location options.type (
        definitions ++ (if options ? default then [ (mkOverride 1500 options.default) ] else [ ])
      )
    else
      let
        sets = concatMap pushDown definitions;
        undeclared = concatMap (set: attrNames (removeAttrs set (attrNames options))) sets;
      in
      if undeclared != [ ] then
        throw "the option ${toString (location ++ undeclared)} does not exist"
      else
        mapAttrs (name: option: configOf (location ++ [ name ]) option (at name sets)) options;

  joinOptions =
    left: right:
    left
    // mapAttrs (
      name: option: if left ? ${name} then joinOptions left.${name} option else option
    ) right;

  mkOverride = priority: content: {
    _type = "override";
    inherit priority content;
  };
in
{
  inherit mergeDefinitions mkOverride;
  mkDefault = mkOverride 1000;
  mkForce = mkOverride 50;

  mkOption = option: option // { _type = "option"; };

  mkIf = condition: content: {
    _type = "if";
    inherit condition content;
  };

  mkMerge = contents: {
    _type = "merge";
    inherit contents;
  };

  evalModules =
    { lib }:
    {
      modules,
      specialArgs ? { },
    }:
    let
      loaded = map (
        module:
        let
          imported = if isFunction module || isAttrs module then module else import module;
          value = if isFunction imported then imported (specialArgs // { inherit lib config; }) else imported;
        in
        if value ? options || value ? config then
          { options = { }; config = { }; } // value
        else
          {
            options = { };
            config = value;
          }
      ) modules;
      options = foldl' joinOptions { } (map (module: module.options) loaded);
      config = configOf [ ] options (map (module: module.config) loaded);
    in
    {
      inherit options config;
    };
}
