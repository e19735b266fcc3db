"""Every number the API promises. What an operator may change lives in `settings.py`."""

PAGE_DEFAULT = 20
PAGE_MAX = 100
FILES_PAGE_DEFAULT = 10_000
FILES_PAGE_MAX = 10_000

METADATA_PAIRS = 16
METADATA_KEY_CHARS = 64
METADATA_VALUE_CHARS = 512

NAME_CHARS = 256
DESCRIPTION_CHARS = 512
INSTRUCTIONS_CHARS = 256_000
CONTENT_CHARS = 256_000
# Ours: few servers take longer addresses. A data URL is as long as its picture.
IMAGE_URL_CHARS = 8_192
# Ours: what one request may have written in one transaction, while no other is written.
MESSAGES = 10_000
PARTS = 1_000
ATTACHMENTS = 2_000
# Ours: a page of a hundred messages is held in memory as a whole. Pictures have no part in it.
MESSAGE_CHARS = 1_000_000

TOOLS = 128
CODE_FILES = 20
# The first version's.
ASSISTANT_FILES = 20
MESSAGE_FILES = 10
STORES_PER_OWNER = 1
FUNCTION_NAME = r"^[a-zA-Z0-9_-]+\Z"
FUNCTION_NAME_CHARS = 64

# Ours: tools of the type `mcp`.
MCP_URL_CHARS = 2_048
MCP_ALLOWED_TOOLS = 128
MCP_HEADERS = 16
HEADER_NAME = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z"
HEADER_NAME_CHARS = 128
# Printable ASCII, or the sign that stands for a value that is not shown.
HEADER_VALUE = r"^([\x20-\x7e]*|…)\Z"
HEADER_VALUE_CHARS = 8_192

SEARCH_RESULTS_MAX = 50
SEARCH_RESULTS_DEFAULT = 10
SEARCH_QUERIES = 32
# Ours: what nests deeper could be read here and not be written there. Nobody's schema does.
NESTING = 256
# Ours: the values of one body take fifty megabytes and more in memory.
JSON_VALUES = 500_000

# Ours: a query is cut into words while others wait.
SEARCH_QUERY_CHARS = 16_384
# Ours: as many as a store may have files, so that all of them can be named.
SEARCH_FILTER_VALUES = 10_000

# The schema asks for 256; the original took 16.
MIN_COMPLETION_TOKENS = 1
MIN_PROMPT_TOKENS = 256
# Ours: no model has as many calls answered.
TOOL_OUTPUTS = 1_000

RUN_LIFE_S = 600
UPLOAD_LIFE_S = 3600
BATCH_FILE_LIFE_S = 30 * 86_400
THREAD_STORE_LIFE_DAYS = 7

# Ours: a name is indexed with every passage of its file.
FILENAME_CHARS = 1_024
FILE_BYTES = 512 * 1024 * 1024
# Ours: five million tokens, which a file may hold, are 200,000 of the smallest chunks at most.
FILE_PASSAGES = 1 << 18
UPLOAD_BYTES = 8 * 1024 * 1024 * 1024
PART_BYTES = 64 * 1024 * 1024
# Ours: the largest upload, in parts of a megabyte, has fewer.
UPLOAD_PARTS = 10_000
STORE_CREATE_FILES = 500
BATCH_FILES = 2_000
FILE_LIFE_MIN_S = 3_600
FILE_LIFE_MAX_S = 2_592_000

CHUNK_TOKENS_MIN = 100
CHUNK_TOKENS_MAX = 4_096
CHUNK_TOKENS = 800
CHUNK_OVERLAP_TOKENS = 400
STORE_LIFE_DAYS_MAX = 365
KEY_DAYS_MAX = 36_500

# Clients poll at this pace instead of their own one (python) or five (node) seconds.
POLL_AFTER_MS = 500
KEEP_ALIVE_S = 15
