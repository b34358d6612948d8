# derivation -> derivation -> derivation: what shell commands made of an image, with the report of
# the image before them as `.report`, if it has one.
image: result:
if image ? report then result // { inherit (image) report; } else result
