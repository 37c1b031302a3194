"""The settings of competition.yaml: a file per section, loading (load, yaml_file) and names (names)."""

from kagglekit.config.audio import Audio as Audio
from kagglekit.config.audio import Features as Features
from kagglekit.config.base import Count as Count
from kagglekit.config.base import Positive as Positive
from kagglekit.config.base import Section as Section
from kagglekit.config.base import Share as Share
from kagglekit.config.competition import Competition as Competition
from kagglekit.config.competition import LocalSettings as LocalSettings
from kagglekit.config.competition import Network as Network
from kagglekit.config.data import Data as Data
from kagglekit.config.data import LabelTable as LabelTable
from kagglekit.config.ensemble import Ensemble as Ensemble
from kagglekit.config.labels import Labels as Labels
from kagglekit.config.names import AUTO as AUTO
from kagglekit.config.overlay import overlay as overlay
from kagglekit.config.schema import Config as Config
from kagglekit.config.schema import ModelSection as ModelSection
from kagglekit.config.search import Range as Range
from kagglekit.config.search import Search as Search
from kagglekit.config.submission import Submission as Submission
from kagglekit.config.train import Augment as Augment
from kagglekit.config.train import Train as Train
from kagglekit.config.validation import Validation as Validation
