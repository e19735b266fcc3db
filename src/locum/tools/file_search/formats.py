"""Which reader reads which extension. The name decides, never the content: what is called a PDF
is parsed as a PDF or not at all, so a file cannot choose the parser it attacks.
"""

from collections.abc import Mapping

from locum.tools.file_search import (
    from_csv,
    from_doc,
    from_html,
    from_office,
    from_pdf,
    from_text,
    from_xlsx,
)
from locum.tools.file_search.reading import Reader

# fmt: off
_TEXT = (
    "c", "cs", "cpp", "css", "go", "java", "js", "md", "php", "py", "rb", "sh", "tex",
    "ts", "txt",
)
# fmt: on
# The original's list for file search, and last our extension of it.
READERS: Mapping[str, Reader] = {
    **dict.fromkeys(_TEXT, from_text.read),
    "json": from_text.read_json,
    "html": from_html.read,
    "pdf": from_pdf.read,
    "docx": from_office.read_docx,
    "pptx": from_office.read_pptx,
    "doc": from_doc.read,
    "csv": from_csv.read,
    "xlsx": from_xlsx.read,
}
