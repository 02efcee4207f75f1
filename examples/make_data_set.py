"""Renders a small data set, asks questions of it, checks it, and reads it as tables.

Run it with `python examples/make_data_set.py [FOLDER]`; run it again to resume.
"""

import sys

import spatialqa as sqa

folder = sys.argv[1] if len(sys.argv) > 1 else "data-set-out"

data = sqa.render(folder, "demo", scenes=16, duration_s=2, workers=0, progress=False)
data.ask(types=("A", "B", "C", "D", "E"), progress=False)
print(data)

report = sqa.validate(data, rerender=2)
print("problems:", list(report.problems) or "none")

questions = data.questions("train").to_pandas()
print(questions[["subtype", "question", "answer"]].head(5).to_string(index=False))

sources = data.scenes("train").to_pandas()["sources"].explode()
print("azimuths:", [round(source["azimuth_deg"]) for source in sources][:8])
