"""An annotation of PASCAL VOC: the names of the objects in an image."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from wsgcn.data.names import clean_name

WITHOUT_OBJECTS = frozenset("folder filename path source owner size segmented database annotation image url".split())
"""Elements that say nothing about what an image shows."""


def read_objects(path: Path) -> list[str]:
    """The names of an image's objects, one per object, cleaned; empty where it shows none.

    Namespaces, letter case and elements around the objects do not matter. Raises ValueError, naming the file, where it
    is missing or broken, or says what the image shows in a way that is not VOC's.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except FileNotFoundError:
        raise ValueError(f"annotation {path} does not exist") from None
    except (ElementTree.ParseError, LookupError, ValueError, OSError) as error:  # LookupError: an unknown encoding
        raise ValueError(f"annotation {path} cannot be read: {error}") from None
    objects = [element for element in root.iter() if _tag(element) == "object"]
    names = [[clean_name(child.text or "") for child in element if _tag(child) == "name"] for element in objects]
    if nameless := sum(len(found) != 1 or not found[0] for found in names):
        raise ValueError(
            f"annotation {path} cannot be read: {nameless} of {len(objects)} objects have no name, or several"
        )
    if _tag(root) != "annotation":
        raise ValueError(f"annotation {path} is not VOC's: it begins with <{_tag(root)}>, not with <annotation>")
    nested = {_tag(child) for child in root if len(child)} - WITHOUT_OBJECTS
    if not objects and (unknown := sorted(nested)):
        raise ValueError(f"annotation {path} has no <object>, but <{'>, <'.join(unknown)}>, which VOC's have not")
    return [found[0] for found in names]


def _tag(element: ElementTree.Element) -> str:
    """An element's tag in lower case, without its namespace; comments have none."""
    return element.tag.rpartition("}")[2].lower() if isinstance(element.tag, str) else ""
